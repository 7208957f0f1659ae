use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::world::Socket;
use super::{PASSWORD, Scene, accepted};

/// What the promise is: a session that an operator ends has no open socket after a second. Twice that for a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

/// Reads what was on its way before the end.
async fn until_it_ends(socket: &mut Socket) {
    while socket.next().await.is_ok() {}
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_and_shown() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    for name in ["carol", "alice", "bob"] {
        client.register(name, PASSWORD).await;
    }
    let names = |words: &[&str]| -> Vec<String> {
        scene.ask(words).iter().map(|user| user["user"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["users", "list"]), ["alice", "bob", "carol"]);
    assert_eq!(names(&["users", "list", "--limit", "2"]), ["alice", "bob"]);
    assert_eq!(names(&["users", "list", "--after", "bob"]), ["carol"]);
    let shown = scene.one(&["users", "show", "bob"]);
    assert_eq!((shown["sessions"].as_u64(), shown["devices"][0]["device"].as_u64()), (Some(1), Some(1)));
    assert_eq!(scene.refused(&["users", "show", "nobody"]), (1, "unknown_user".to_owned()));
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_keeps_its_messages_and_is_back_when_enabled() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let (alice, bob) = (client.register("alice", PASSWORD).await, client.register("bob", PASSWORD).await);
    let (mut alice_socket, mut bob_socket) = (client.connect(&alice).await, client.connect(&bob).await);
    let begin = Instant::now();
    assert_eq!(scene.one(&["users", "disable", "alice"])["ended_sessions"], 1);
    until_it_ends(&mut alice_socket).await;
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
    // With the right password and with a wrong one the answer is the same, but for the request's id.
    let answer = async |password: &str| {
        let body = format!("{{\"username\":\"alice\",\"password\":\"{password}\"}}");
        let (status, text) = client.call("POST", "/v1/identity/current", "", &body).await;
        let mut problem: Value = serde_json::from_str(&text).unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        (status, problem)
    };
    assert_eq!(answer(PASSWORD).await, answer("not the password").await);
    assert!(scene.one(&["users", "show", "alice"])["disabled_at"].is_u64());
    accepted(&mut bob_socket, 1, &alice, "for later").await;
    assert_eq!(scene.one(&["queues"])["messages"], 1, "what is sent meanwhile is kept");
    assert_eq!(scene.one(&["users", "enable", "alice"])["changed"], true);
    assert_eq!(scene.one(&["users", "enable", "alice"])["changed"], false);
    assert_eq!(answer(PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_reset_password_works_the_old_one_does_not_every_session_ends_and_keys_stay() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let alice = client.register("alice", PASSWORD).await;
    let mut socket = client.connect(&alice).await;
    let before = (scene.ask(&["keys", "alice"]), scene.one(&["users", "show", "alice"])["device_list_version"].clone());
    let begin = Instant::now();
    let reset = scene.one(&["--yes", "users", "reset-password", "alice"]);
    until_it_ends(&mut socket).await;
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    assert_eq!(reset["ended_sessions"], 1);
    let made = reset["password"].as_str().unwrap().to_owned();
    let works = async |password: &str| {
        let body = format!("{{\"username\":\"alice\",\"password\":\"{password}\"}}");
        client.call("POST", "/v1/identity/current", "", &body).await.0 == 200
    };
    assert!(works(&made).await && !works(PASSWORD).await);
    let after = (scene.ask(&["keys", "alice"]), scene.one(&["users", "show", "alice"])["device_list_version"].clone());
    assert_eq!(before, after);

    let file = scene.world.file("password");
    fs::write(&file, "another long password\n").unwrap();
    let given = scene.one(&["--yes", "users", "reset-password", "alice", "--password-file", file.to_str().unwrap()]);
    assert!(given.get("password").is_none());
    assert!(works("another long password").await && !works(&made).await);
    fs::write(&file, "password1\n").unwrap();
    let common =
        scene.refused(&["--yes", "users", "reset-password", "alice", "--password-file", file.to_str().unwrap()]);
    assert_eq!(common, (1, "password_common".to_owned()));
    let noted = fs::read_to_string(scene.world.data().join("audit.log")).unwrap();
    assert!(!noted.contains(&made) && !noted.contains("another long password") && !scene.server.log().contains(&made));
}

#[tokio::test]
async fn a_deleted_account_is_reported_item_by_item_and_leaves_no_name_in_the_audit_log() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let alice = client.register("alice", PASSWORD).await;
    let erased = scene.one(&["--yes", "users", "delete", "alice"]);
    assert_eq!((erased["report"]["devices"].as_u64(), erased["report"]["sessions"].as_u64()), (Some(1), Some(1)));
    assert!(!erased["report"]["remains"].as_array().unwrap().is_empty());
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
    assert_eq!(scene.refused(&["--yes", "users", "delete", "alice"]), (1, "unknown_user".to_owned()));
    let taken = client.try_register("alice", PASSWORD, None).await.err().unwrap();
    assert!(taken.1.contains("username_taken"), "{taken:?}");
    let lines = scene.audit();
    assert_eq!(lines[0]["target"], erased["account_id"]);
    assert!(lines.iter().all(|line| !line.to_string().contains("alice")), "{lines:?}");
}

#[tokio::test]
async fn after_a_snapshot_was_put_back_every_session_and_socket_ends_and_key_epochs_rise() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let alice = client.register("alice", PASSWORD).await;
    let mut socket = client.connect(&alice).await;
    assert_eq!(scene.refused(&["after-restore"]), (2, "not_confirmed".to_owned()));
    let before = scene.one(&["keys", "alice"])["key_epoch"].as_u64().unwrap();
    let ended = scene.one(&["--yes", "after-restore"]);
    assert_eq!((ended["sessions"].as_u64(), ended["devices"].as_u64()), (Some(1), Some(1)));
    until_it_ends(&mut socket).await;
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
    assert!(scene.one(&["keys", "alice"])["key_epoch"].as_u64().unwrap() > before);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_or_all() {
    let scene = Scene::new(&[]);
    let client = scene.client();
    let (alice, bob) = (client.register("alice", PASSWORD).await, client.register("bob", PASSWORD).await);
    let id = scene.one(&["sessions", "list", "alice"])["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.refused(&["sessions", "end", "bob", &id]), (1, "unknown_session".to_owned()));
    assert_eq!(scene.refused(&["sessions", "end", "bob", "zz"]), (1, "malformed".to_owned()));
    assert_eq!(scene.one(&["sessions", "end", "alice", &id])["ended_sessions"], 1);
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
    assert_eq!(scene.one(&["--yes", "sessions", "end", "bob", "--all"])["ended_sessions"], 1);
    assert_eq!(client.call("GET", "/v1/sessions", &bob.token, "").await.0, 401);
    assert!(scene.ask(&["sessions", "list", "bob"]).is_empty());
}
