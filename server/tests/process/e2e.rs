//! The doctor's accounts on a running server: what they find, and that they leave nothing behind.

use std::path::Path;

use serde_json::Value;

use super::nginx::Proxied;
use super::world::{Running, World};
use sealpost_harness::database::Database;

/// Every step, in its order.
const STEPS: [&str; 9] = ["server", "register", "look up", "take", "connect", "send", "deliver", "ack", "delete"];

/// Exit code, what was printed, what was said of errors.
fn doctor(world: &World, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = world.command().arg("doctor").args(flags).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// `--url` and, where it speaks TLS, `--ca`.
fn of(server: &Running) -> Vec<String> {
    let mut flags = vec!["--url".to_owned(), server.text("url")];
    if let Some(ca) = server.ready["ca"].as_str() {
        flags.extend(["--ca".to_owned(), ca.to_owned()]);
    }
    flags
}

fn e2e(world: &World, server: &Running, more: &[&str]) -> (Option<i32>, String, String) {
    let of = of(server);
    let flags: Vec<&str> =
        ["--e2e"].into_iter().chain(of.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    doctor(world, &flags)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What an admin command prints, as JSON.
fn admin(world: &World, arguments: &[&str]) -> Vec<Value> {
    let data = world.data();
    let flags = ["--json", "--data", data.to_str().unwrap()];
    let output = world.command().arg("admin").args(flags).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines(&String::from_utf8(output.stdout).unwrap())
}

#[track_caller]
fn leaves_nobody(world: &World) {
    assert_eq!(admin(world, &["users", "list"]), Vec::<Value>::new());
    assert_eq!(admin(world, &["invites", "list"]), Vec::<Value>::new());
}

#[test]
fn two_accounts_go_the_whole_way_and_are_gone() {
    let mut world = World::new();
    let server = world.start_local();
    let (code, said, errors) = e2e(&world, &server, &["--json"]);
    assert_eq!(code, Some(0), "{said}{errors}");
    let steps = lines(&said);
    assert_eq!(steps.iter().map(|step| step["step"].as_str().unwrap()).collect::<Vec<_>>(), STEPS, "{said}");
    assert!(steps.iter().all(|step| step["outcome"] == "done" && step["millis"].as_f64().unwrap() > 0.0), "{said}");
    leaves_nobody(&world);
    let (code, said, _) = e2e(&world, &server, &[]);
    assert!(code == Some(0) && said.contains("All 9 steps are done"), "{said}");
    assert!(said.lines().count() == STEPS.len() + 1, "{said}");
    assert!(!server.log().contains("doctor_"), "{}", server.log());
}

#[test]
fn a_server_that_takes_nobody_uninvited_gives_the_doctor_invites_or_the_operator_does() {
    let mut world = World::new();
    let server = world.start(&["--listen", "127.0.0.1:0", "--registration", "invite"]);
    for invite in admin(&world, &["invites", "list"]) {
        admin(&world, &["--yes", "invites", "revoke", invite["id"].as_str().unwrap()]);
    }
    let data = world.data();
    let (code, said, _) = e2e(&world, &server, &["--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    leaves_nobody(&world);
    let (code, said, _) = e2e(&world, &server, &["--data", "/nowhere/at/all"]);
    assert!(code == Some(1) && said.contains("invites create --count 2"), "{said}");
    let made = admin(&world, &["invites", "create", "--count", "2"]);
    let invite = |at: usize| format!("--invite={}", made[at]["invite"].as_str().unwrap());
    let (code, said, _) = e2e(&world, &server, &["--data", "/nowhere/at/all", &invite(0), &invite(1)]);
    assert_eq!(code, Some(0), "{said}");
    leaves_nobody(&world);
}

#[test]
fn a_step_that_fails_gives_its_reason_and_the_accounts_are_deleted() {
    let mut world = World::new();
    // The recipient cannot come back to see that its queue is empty.
    let config = "registration = 'invite'\n[limits.connect_device]\nburst = 1\ntokens = 1\nper_seconds = 86400\n";
    let server = world.start_configured(config);
    for invite in admin(&world, &["invites", "list"]) {
        admin(&world, &["--yes", "invites", "revoke", invite["id"].as_str().unwrap()]);
    }
    let data = world.data();
    let (code, said, _) = e2e(&world, &server, &["--json", "--data", data.to_str().unwrap()]);
    let steps = lines(&said);
    let failed: Vec<&Value> = steps.iter().filter(|step| step["outcome"] == "failed").collect();
    assert!(code == Some(1) && failed.len() == 1, "{said}");
    assert!(failed[0]["step"] == "ack" && failed[0]["text"].as_str().unwrap().contains("rate_limited"), "{said}");
    assert_eq!(steps.iter().filter(|step| step["step"] == "clean up").count(), 2, "{said}");
    leaves_nobody(&world);
}

#[test]
fn a_server_that_is_away_or_closed_or_another_is_told_plainly() {
    let mut world = World::new();
    let server = world.start(&["--listen", "127.0.0.1:0", "--registration", "closed"]);
    let (code, said, _) = e2e(&world, &server, &[]);
    assert!(code == Some(1) && said.contains("registration is closed"), "{said}");
    let url = server.text("url");
    let (code, said, _) = doctor(&world, &["--e2e", "--url", &url, "--data", "/nowhere/at/all"]);
    assert!(code == Some(1) && said.contains("--ca"), "an authority that nobody knows: {said}");
    let (code, said, _) = doctor(&world, &["--e2e", "--url", &server.text("private")]);
    assert!(code == Some(1) && said.contains("no Sealpost server"), "{said}");
    let data = world.data();
    let ready = ["--ready", "--url", &url, "--data", data.to_str().unwrap()];
    let (code, said, _) = doctor(&world, &ready);
    assert!(code == Some(0) && said.contains("it can store"), "{said}");
    drop(server);
    for what in ["--e2e", "--ready"] {
        let (code, said, _) = doctor(&world, &[what, "--url", &url, "--data", data.to_str().unwrap()]);
        assert!(code == Some(1) && said.contains("does the server run"), "{said}");
    }
    for wrong in ["sealpost.example", "ftp://sealpost.example", "https://sealpost.example/v1", "https://"] {
        let (code, _, errors) = doctor(&world, &["--e2e", "--url", wrong]);
        assert!(code == Some(1) && errors.contains("it looks like https://"), "{errors}");
    }
}

#[test]
fn the_doctor_goes_through_nginx() {
    let limits = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(limits.path(), "registration = 'open'\n").unwrap();
    let proxied = Proxied::start(&["--config", limits.path().to_str().unwrap()], |text| text);
    let (url, ca) = (proxied.url(), proxied.ca());
    let run =
        |flags: &[&str]| doctor(&proxied.world, &[&["--url", &url, "--ca", ca.to_str().unwrap()], flags].concat());
    let (code, said, _) = run(&["--e2e"]);
    assert_eq!(code, Some(0), "{said}");
    // One that passes no stream on is found out, and the accounts go all the same.
    let broken = Proxied::start(&["--config", limits.path().to_str().unwrap()], |text| {
        text.replace("proxy_set_header Upgrade $http_upgrade;", "")
    });
    let (url, ca): (_, &Path) = (broken.url(), &broken.ca());
    let (code, said, _) = doctor(&broken.world, &["--e2e", "--url", &url, "--ca", ca.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("does a proxy in front pass WebSockets on?"), "{said}");
    leaves_nobody(&broken.world);
}

#[test]
fn the_doctor_finds_a_server_on_mongodb_well() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let mut world = World::new();
    let address = format!("mongodb://{listens}/sealpost");
    let server = world.start(&["--listen", "127.0.0.1:0", "--store", &address]);
    let (code, said, _) = e2e(&world, &server, &["--json"]);
    assert_eq!(code, Some(0), "{said}");
    leaves_nobody(&world);
}
