//! The account and what belongs to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{World, finish};

#[test]
fn a_registration_may_be_repeated_and_a_taken_name_is_refused() {
    let world = World::start();
    let alice = world.registered("alice");
    assert_eq!(alice.ok(&["register", "alice"]).events("registered")[0]["account"], "alice");
    let ended = alice.run(&["register", "carol"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let other = world.person_on("alice", "other");
    let ended = other.run(&["register", "alice"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(4), "username_taken"));
    let ended = other.run(&["register", "admin"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn a_logged_out_profile_stays_out_until_it_logs_in() {
    let world = World::start();
    let (alice, _bob) = (world.registered("alice"), world.registered("bob"));
    alice.ok(&["logout"]);
    let ended = alice.run(&["send", "bob", "later"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(4), "not_logged_in"));
    assert!(ended.has("queued"), "{ended:?}");
    let ended = finish(alice.bare(&["send", "bob", "later still"]));
    assert!(ended.stderr.contains("(not_logged_in)"), "a person is told why it waits: {ended:?}");
    let ended = alice.ok(&["login", "alice"]);
    assert_eq!(ended.events("logged_in")[0]["account"], "alice");
    assert_eq!(ended.events("sent").len(), 2);
    assert_eq!(ended.events("sent")[0]["to"], "bob");
}

#[test]
fn an_ended_session_begins_anew_where_the_password_is_at_hand() {
    let world = World::start();
    let alice = world.registered("alice");
    let session = alice.ok(&["sessions"]).events("session")[0].clone();
    assert_eq!(session["current"], true);
    alice.ok(&["sessions", "end", session["session_id"].as_str().unwrap()]);
    let ended = alice.ok(&["status"]);
    assert_eq!(ended.events("status")[0]["online"], true);
}

#[test]
fn a_changed_password_is_the_one_that_counts() {
    let world = World::start();
    let alice = world.registered("alice");
    let new = world.folder().join("new");
    fs::write(&new, "an entirely new password\n").unwrap();
    alice.ok(&["password", "--new-password-file", new.to_str().unwrap()]);
    alice.ok(&["status"]);
    alice.ok(&["logout"]);
    let ended = alice.run(&["login", "alice"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(4), "login_failed"));
    fs::copy(&new, alice.secret("password")).unwrap();
    alice.ok(&["login", "alice"]);
}

#[test]
fn facts_are_printed_as_the_api_names_them() {
    let world = World::start();
    let alice = world.registered("alice");
    let whoami = alice.ok(&["whoami"]).events("whoami")[0].clone();
    assert_eq!(whoami["account"], "alice");
    assert_eq!(whoami["account_id"].as_str().unwrap().len(), 22);
    assert_eq!(alice.ok(&["devices"]).events("device")[0]["device_id"], 1);
    let keys = alice.ok(&["keys"]).events("keys")[0].clone();
    assert_eq!(keys["one_time_left"], 100);
    let rotated = alice.ok(&["keys", "--rotate"]).events("keys_rotated")[0].clone();
    assert!(rotated["signed_prekey_id"].as_u64() > keys["signed_prekey_id"].as_u64());
    let ended = alice.run(&["devices", "remove", "9"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(1), "no_such_device"));
}

#[test]
fn an_export_is_a_new_file_for_its_owner_alone() {
    let mut world = World::start();
    let alice = world.registered("alice");
    let file = world.folder().join("export.json");
    alice.ok(&["export", file.to_str().unwrap()]).events("exported");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["username"], "alice");
    assert_eq!(alice.run(&["export", file.to_str().unwrap()]).code, Some(1));
    assert!(file.metadata().unwrap().len() > 0, "the one that was there is left alone");

    world.kill_server();
    let file = world.folder().join("later.json");
    assert_eq!(alice.run(&["export", file.to_str().unwrap()]).code, Some(3));
    assert!(!file.exists(), "a failed export leaves nothing in the way of the next");
    world.start_server();
    alice.ok(&["export", file.to_str().unwrap()]);
}

#[test]
fn a_deleted_account_is_gone_for_good() {
    let world = World::start();
    let alice = world.registered("alice");
    let ended = alice.run(&["delete-account"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "not_confirmed"));
    let deleted = alice.ok(&["delete-account", "--yes"]).events("account_deleted")[0].clone();
    assert_eq!(deleted["erased"]["devices"], 1);
    let ended = world.person_on("alice", "again").run(&["register", "alice"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(4), "username_taken"));
    assert_eq!(finish(alice.bare(&["--json", "status"])).code, Some(1));
}
