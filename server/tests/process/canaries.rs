use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::Signal;
use sealpost_api::frames::{ClientFrame, ServerFrame};

use super::world::{Client, Person, Running, World, plain_get};
use sealpost_harness::scan::Canaries;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Accounts of the workload.
const PEOPLE: usize = 8;

/// Everything that may be nowhere but where it belongs.
#[derive(Default)]
struct Secrets {
    /// Passwords, tokens, private keys, plaintexts, addresses: in no file, log or metric.
    never: Vec<(String, Vec<u8>)>,
    /// Names and sealed messages that wait: in the database, in no log or metric.
    stored: Vec<(String, Vec<u8>)>,
}

impl Secrets {
    fn never(&mut self, what: &str, value: &str) {
        self.never.push((format!("{what} {value}"), value.as_bytes().to_vec()));
    }

    /// Raw, and in the encoding in which it would be written.
    fn never_bytes(&mut self, what: &str, bytes: &[u8]) {
        self.never.push((what.to_owned(), bytes.to_vec()));
        self.never.push((format!("{what}, encoded"), URL_SAFE_NO_PAD.encode(bytes).into_bytes()));
    }
}

/// A message that bears what somebody would write; the server must not keep it once it was acknowledged.
async fn talk(server: &Running, client: &Client, people: &[Person], secrets: &mut Secrets) {
    for (number, pair) in people.windows(2).enumerate() {
        let (from, to) = (&pair[0], &pair[1]);
        let mut receiver = client.connect(to).await;
        while receiver.frame().await != ServerFrame::Drained {}
        let mut sender = client.connect(from).await;
        while sender.frame().await != ServerFrame::Drained {}
        let (read, waits) = (format!("canary text read {number}"), format!("canary text waits {number}"));
        sender.send(1, to, &read).await;
        assert!(matches!(sender.frame().await, ServerFrame::Sent(_)));
        let ServerFrame::Deliver(delivered) = receiver.frame().await else { panic!("nothing was delivered") };
        receiver.put(ClientFrame::Ack { ids: vec![delivered.id] }).await;
        receiver.send(1_000, from, &waits).await;
        while !matches!(receiver.frame().await, ServerFrame::Sent(_)) {}
        acknowledged(server, number + 1).await;
        secrets.never("a message that was read", &read);
        secrets.stored.push((format!("a message that waits, {number}"), waits.into_bytes()));
    }
}

/// Registrations, logins (right and wrong), messages, refused calls, injected headers and paths.
async fn workload(server: &Running) -> Secrets {
    let mut secrets = Secrets::default();
    let client = server.client();
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let (name, password) = (format!("canary_name_{number}"), format!("canary password {number}"));
        let (address, address6) = (format!("198.51.100.{}", 100 + number), format!("2001:db8:77:{number}00::99"));
        let here = client.coming_from(&address);
        let person = here.register(&name, &password).await;
        let wrong = format!("canary wrong password {number}");
        for text in [&password, &wrong] {
            let body = here.login_body(&person, text).await;
            let (_, answer) = here.coming_from(&address6).call("POST", "/v1/sessions", "", &body).await;
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            if let Some(token) = answer["access_token"].as_str() {
                secrets.never("an access token", token);
            }
        }
        let new = format!("canary new password {number}");
        let change = format!("{{\"old_password\":\"{password}\",\"new_password\":\"{new}\"}}");
        let log_in = here.login_body(&person, &password).await;
        let (_, grant) = here.call("POST", "/v1/sessions", "", &log_in).await;
        let grant: serde_json::Value = serde_json::from_str(&grant).unwrap();
        let token = grant["access_token"].as_str().unwrap().to_owned();
        assert_eq!(here.call("PUT", "/v1/account/password", &token, &change).await.0, 200);
        let log_in = here.login_body(&person, &new).await;
        let (_, grant) = here.call("POST", "/v1/sessions", "", &log_in).await;
        let grant: serde_json::Value = serde_json::from_str(&grant).unwrap();
        let person = Person { token: grant["access_token"].as_str().unwrap().to_owned(), ..person };
        for path in [
            format!("/v1/canary_path_{number}?token=canary_query_{number}"),
            format!("/v1/accounts/by-name/canary_unknown_{number}"),
        ] {
            here.call("GET", &path, &person.token, "").await;
        }
        here.call("GET", "/v1/sessions", &format!("canary.bad.token.{number}"), "").await;
        secrets.never("an access token", &token);
        secrets.never("an access token", &person.token);
        for text in [password, wrong, new] {
            secrets.never("a password", &text);
        }
        for text in
            [format!("canary_path_{number}"), format!("canary_query_{number}"), format!("canary_unknown_{number}")]
        {
            secrets.never("a path", &text);
        }
        secrets.never("a bad token", &format!("canary.bad.token.{number}"));
        secrets.never("an address", &address);
        secrets.never("an address", &address6);
        secrets.never_bytes("a device's private key", &*person.device.identity.seed());
        secrets.stored.push((format!("the name {name}"), name.into_bytes()));
        people.push(person);
    }
    talk(server, &client, &people, &mut secrets).await;
    secrets
}

/// Waits until this number of messages was acknowledged and deleted.
async fn acknowledged(server: &Running, messages: usize) {
    let line = format!("sealpost_rows_acknowledged_total {messages}");
    let begin = Instant::now();
    while !plain_get(&server.text("private"), "/metrics").await.1.contains(&line) {
        assert!(begin.elapsed() < PATIENCE, "not acknowledged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const FLAGS: [&str; 7] =
    ["--listen", "127.0.0.1:0", "--plain-http", "--trust-proxy", "--registration=open", "--log", "trace"];

#[tokio::test]
async fn threat_62_a_stolen_database_or_backup_holds_no_password_token_private_key_or_read_message() {
    let mut world = World::new();
    let mut server = world.start(&FLAGS);
    let secrets = workload(&server).await;
    let backup = world.file("backup");
    let made = world.command().arg("backup").arg("--data").arg(world.data()).arg("--to").arg(&backup).status().unwrap();
    assert!(made.success());
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    let never = Canaries::new(secrets.never).unwrap();
    assert!(never.len() >= 100, "{} canaries", never.len());
    let stored = Canaries::new(secrets.stored).unwrap();
    for folder in [world.data(), backup] {
        assert_eq!(never.found_below(&folder).unwrap(), Vec::<String>::new());
        assert_eq!(stored.found_below(&folder).unwrap().len(), stored.len(), "the search finds what is there");
        // What a thief learns: who there is, on which devices with which public keys, and who waits for how much from whom.
        let connection = rusqlite::Connection::open(folder.join("sealpost.db")).unwrap();
        let mut select = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").unwrap();
        let tables: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let with_rows = |table: &String| {
            connection.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {table})"), [], |row| row.get::<_, bool>(0))
        };
        let remains: Vec<_> = tables.into_iter().filter(|table| with_rows(table).unwrap()).collect();
        let metadata = ["accounts", "device_lists", "devices", "meta", "queue", "sessions", "signed_prekeys"];
        assert_eq!(remains, [&metadata[..], &["sqlite_sequence"]].concat());
    }
}

#[tokio::test]
async fn threat_69_nothing_that_people_send_is_in_the_logs_metrics_or_panics() {
    let mut world = World::new();
    let server = world.start(&FLAGS);
    let secrets = workload(&server).await;
    let metrics = plain_get(&server.text("private"), "/metrics").await.1;
    let canaries = Canaries::new(secrets.never.into_iter().chain(secrets.stored).collect()).unwrap();
    assert!(canaries.len() >= 100, "{} canaries", canaries.len());
    let log = server.log();
    assert!(log.contains("request_id") && metrics.contains("sealpost_logins_total"));
    assert_eq!(canaries.found_in("the log", log.as_bytes()), Vec::<String>::new());
    assert_eq!(canaries.found_in("the metrics", metrics.as_bytes()), Vec::<String>::new());
    let panicked = panic_in_a_process("canary payload of a panic");
    assert!(panicked.contains("failed unexpectedly at"), "{panicked}");
    assert!(!panicked.contains("canary"), "{panicked}");
}

const PANICS: &str = "SEALPOST_TEST_PANICS";

/// What a process says that panics under the server's own hook: this very test program, called again.
fn panic_in_a_process(payload: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "canaries::a_panic_is_told_by_its_place", "--nocapture"])
        .env(PANICS, payload)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_panic_is_told_by_its_place() {
    if let Ok(payload) = std::env::var(PANICS) {
        sealpost_server::base::hardening::hide_panics();
        panic!("{payload}");
    }
    assert!(panic_in_a_process("anything").contains("canaries.rs"));
}

/// A core would hold keys, tokens and passwords.
#[test]
fn an_aborted_server_writes_no_core_even_where_cores_are_allowed() {
    let mut world = World::new();
    let folder = world.file("cwd");
    fs::create_dir(&folder).unwrap();
    let allowed = |program: &[&str]| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).args(program).current_dir(&folder);
        command
    };
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.trim() == "core" {
        // The control: where nothing forbids it, a core is written.
        let status = allowed(&["sh", "-c", "kill -ABRT $$"]).status().unwrap();
        assert!(!status.success());
        let cores: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!cores.is_empty(), "the control wrote no core");
        cores.iter().for_each(|core| fs::remove_file(core).unwrap());
    }
    let data = world.data();
    let serve = [env!("CARGO_BIN_EXE_sealpost-server"), "serve", "--listen", "127.0.0.1:0", "--data"];
    let program: Vec<_> = serve.into_iter().chain([data.to_str().unwrap()]).collect();
    let mut server = world.start_command(allowed(&program));
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.ready["pid"])).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().nth(4) == Some("0"), "{core}");
    server.signal(Signal::ABORT);
    assert!(!server.ended().success());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "a core was written");
}
