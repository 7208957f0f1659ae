//! Whether a server is believed.

use std::fs;

use crate::support::{World, finish};

#[test]
fn an_unknown_authority_is_refused_without_a_terminal() {
    let world = World::start();
    let alice = world.person("alice");
    let ended = finish(alice.bare(&["--json", "--server", &world.url, "register", "alice"]));
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "server_untrusted"));
    assert!(ended.stderr.contains("--ca"));
    alice.ok(&["register", "alice"]);
    // From now on address and authority are remembered.
    let ended = finish(alice.bare(&["--json", "status"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_server_with_another_authority_is_refused() {
    let mut world = World::start();
    let alice = world.registered("alice");
    world.kill_server();
    fs::rename(world.folder().join("server"), world.folder().join("server-before")).unwrap();
    world.start_server();
    let ended = finish(alice.bare(&["--json", "status"]));
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "server_untrusted"));
    let ended = alice.run(&["status"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(5), "server_untrusted"), "the file has another one now");
}

#[test]
fn another_server_is_not_taken_for_the_remembered_one() {
    let world = World::start();
    let alice = world.registered("alice");
    let ended = finish(alice.bare(&["--json", "--server", "https://127.0.0.1:9", "status"]));
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "other_server"));
}

#[test]
fn a_wrong_passphrase_leaves_the_vault_locked() {
    let world = World::start();
    let alice = world.registered("alice");
    let wrong = world.folder().join("wrong");
    fs::write(&wrong, "not it").unwrap();
    let mut command = alice.bare(&["--json"]);
    command.arg("--passphrase-file").arg(&wrong).arg("whoami");
    // The flag may be given once only; the environment gives way to it.
    assert_eq!(finish(command).code, Some(2));
    fs::write(alice.secret("passphrase"), "not it").unwrap();
    let ended = alice.run(&["whoami"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(7), "vault_locked"));
}

#[test]
fn a_normal_program_holds_nothing_that_leaves_a_countermeasure_out() {
    let program = fs::read(crate::support::SEALPOST).unwrap();
    let switch = b"SEALPOST_SABOTAGE";
    let found = program.windows(switch.len()).any(|bytes| bytes == switch);
    // The special build has it, so the search would find it.
    assert_eq!(found, cfg!(sealpost_sabotage));
}
