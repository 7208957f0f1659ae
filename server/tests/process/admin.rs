use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Output;

use sealpost_api::frames::ServerFrame;
use serde_json::Value;

use super::world::{Client, Person, Running, Socket, World, plain_get};

mod accounts;
mod reload;

const PASSWORD: &str = "correct horse battery";

/// A running server, and orders to it.
struct Scene {
    world: World,
    server: Running,
}

impl Scene {
    fn new(flags: &[&str]) -> Self {
        let mut world = World::new();
        let server = world.start(&[&["--listen", "127.0.0.1:0"], flags].concat());
        Self { world, server }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    fn run(&self, words: &[&str]) -> Output {
        admin(&self.world, words)
    }

    /// The answer's lines.
    #[track_caller]
    fn ask(&self, words: &[&str]) -> Vec<Value> {
        let output = self.run(&[&["--json"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line of an answer.
    #[track_caller]
    fn one(&self, words: &[&str]) -> Value {
        let mut lines = self.ask(words);
        assert_eq!(lines.len(), 1, "{words:?}");
        lines.remove(0)
    }

    /// Exit code and error name of what is refused.
    #[track_caller]
    fn refused(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(&[&["--json"], words].concat());
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        (output.status.code().unwrap(), error["error"].as_str().unwrap().to_owned())
    }

    fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.world.data().join("audit.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn admin(world: &World, words: &[&str]) -> Output {
    world.command().args(["admin", "--data"]).arg(world.data()).args(words).output().unwrap()
}

/// Sends, and reads until the server has accepted it.
async fn accepted(socket: &mut Socket, number: u64, to: &Person, text: &str) {
    socket.send(number, to, text).await;
    while !matches!(socket.frame().await, ServerFrame::Sent(_)) {}
}

#[test]
fn the_socket_is_private_goes_with_the_server_and_one_left_behind_is_replaced() {
    let mut world = World::new();
    let path = world.data().join("admin.sock");
    assert_eq!(admin(&world, &["status"]).status.code(), Some(3), "there is no folder yet");
    let mut server = world.start_local();
    let metadata = fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(admin(&world, &["status"]).status.success());
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended().success());
    assert!(!path.exists());
    world.start_local().kill();
    assert!(path.exists(), "a killed server leaves it behind");
    let output = admin(&world, &["status"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("sealpost-server serve --data"));
    let _server = world.start_local();
    assert!(admin(&world, &["status"]).status.success());
}

#[test]
fn wrong_arguments_and_destructive_acts_without_a_yes_are_refused_before_anything_is_asked() {
    let scene = Scene::new(&[]);
    for words in [&["invites", "create", "--count", "0"][..], &["nonsense"], &["sessions", "end", "alice"]] {
        assert_eq!(scene.run(words).status.code(), Some(2), "{words:?}");
    }
    for words in [
        &["users", "delete", "alice"][..],
        &["users", "reset-password", "alice"],
        &["sessions", "end", "alice", "--all"],
    ] {
        assert_eq!(scene.refused(words), (2, "not_confirmed".to_owned()));
    }
    assert!(scene.audit().is_empty());
}

#[tokio::test]
async fn an_invite_is_made_listed_by_an_id_used_once_or_revoked_and_stored_only_as_a_hash() {
    let scene = Scene::new(&["--registration", "invite"]);
    let client = scene.client();
    let made = scene.ask(&["invites", "create", "--count", "3", "--expires", "2"]);
    let code = |index: usize| made[index]["invite"].as_str().unwrap().to_owned();
    let id = |index: usize| made[index]["id"].as_str().unwrap().to_owned();
    let listed = scene.ask(&["invites", "list"]);
    assert_eq!(listed.len(), 4, "three and the one of the first start");
    let day = 24 * 3_600 * 1_000;
    let entry = listed.iter().find(|entry| entry["id"] == made[0]["id"]).unwrap();
    let lifetime = entry["expires_at"].as_u64().unwrap() - entry["created_at"].as_u64().unwrap();
    assert!((2 * day - 60_000..=2 * day).contains(&lifetime), "{entry}");

    assert_eq!(scene.one(&["invites", "revoke", &id(1)[..8]])["id"], made[1]["id"]);
    assert_eq!(scene.one(&["invites", "revoke", &code(2)])["id"], made[2]["id"]);
    for spent in [code(1), code(2)] {
        let refused = client.try_register("bob", PASSWORD, Some(spent)).await.err().unwrap();
        assert!(refused.1.contains("invite_invalid"), "{refused:?}");
    }
    client.try_register("alice", PASSWORD, Some(code(0))).await.ok().unwrap();
    assert_eq!(scene.ask(&["invites", "list"]).len(), 1);
    assert_eq!(scene.refused(&["invites", "revoke", &id(0)]), (1, "unknown_invite".to_owned()));

    let stored: Vec<u8> = ["sealpost.db", "sealpost.db-wal", "audit.log"]
        .iter()
        .flat_map(|name| fs::read(scene.world.data().join(name)).unwrap())
        .collect();
    for index in 0..3 {
        assert!(!stored.windows(code(index).len()).any(|bytes| bytes == code(index).as_bytes()));
    }
    let acts: Vec<_> = scene.audit().iter().map(|line| line["act"].as_str().unwrap().to_owned()).collect();
    assert_eq!(acts, ["invites_create", "invites_revoke", "invites_revoke", "invites_revoke"]);
    assert_eq!(scene.audit()[3]["outcome"], "unknown_invite");
}

#[tokio::test]
async fn status_queues_and_keys_tell_how_the_server_is() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let (alice, bob) = (client.register("alice", PASSWORD).await, client.register("bob", PASSWORD).await);
    let mut socket = client.connect(&alice).await;
    for number in 1..=3 {
        accepted(&mut socket, number, &bob, "what waits").await;
    }
    let queues = scene.ask(&["queues"]);
    assert_eq!(queues.len(), 1);
    assert_eq!((queues[0]["user"].as_str(), queues[0]["messages"].as_u64()), (Some("bob"), Some(3)));
    assert_eq!(queues[0]["bytes"].as_u64(), Some(30));
    assert!(queues[0]["oldest_at"].as_u64() > Some(0));
    let keys = scene.one(&["keys", "bob"]);
    assert_eq!((keys["device"].as_u64(), keys["one_time_prekeys"].as_u64()), (Some(1), Some(0)));
    assert!(keys["signed_prekey_expires_at"].as_u64() > Some(0));
    let status = scene.one(&["status"]);
    for (name, value) in
        [("accounts", 2), ("devices", 2), ("sessions", 2), ("streams", 1), ("queued_messages", 3), ("one_time_low", 2)]
    {
        assert_eq!(status[name].as_u64(), Some(value), "{name} in {status}");
    }
    assert_eq!((status["registration"].as_str(), &status["unavailable"]), (Some("open"), &Value::Null));
    let table = String::from_utf8(scene.run(&["queues"]).stdout).unwrap();
    assert!(table.starts_with("NAME") && table.lines().nth(1).unwrap().starts_with("bob"), "{table}");
    assert_eq!(plain_get(&scene.server.text("private"), "/healthz").await.0, 200);
}
