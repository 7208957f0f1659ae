//! Two people write to each other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{World, finish, finish_with_input};

#[test]
fn messages_to_someone_offline_arrive_once_and_in_order() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    for text in ["one", "two", "three"] {
        let ended = alice.ok(&["send", "bob", text]);
        let sent = &ended.events("sent")[0];
        assert_eq!(sent["to"], "bob");
        assert_eq!(sent["message_id"].as_str().unwrap().len(), 32);
        assert!(sent["number"].as_u64().unwrap() >= 1 && sent["accepted_at"].as_u64().unwrap() > 0);
    }
    let ended = bob.ok(&["receive"]);
    assert_eq!(ended.texts(), ["one", "two", "three"]);
    let message = &ended.events("message")[0];
    assert_eq!((message["from"].as_str(), message["device"].as_u64()), (Some("alice"), Some(1)));
    assert!(bob.receives().is_empty(), "nothing is printed twice");
    bob.ok(&["send", "alice", "four"]);
    assert_eq!(alice.receives(), ["four"]);
    let texts = ["one", "two", "three", "four"];
    for (person, peer) in [(&alice, "bob"), (&bob, "alice")] {
        let ended = person.ok(&["history", peer]);
        assert_eq!(ended.texts(), texts);
        let last = &ended.events("message")[3];
        assert_eq!((last["from"].as_str(), last["to"].as_str()), (Some("bob"), Some("alice")));
        assert_eq!(person.ok(&["history", peer, "--limit", "2"]).texts(), ["three", "four"]);
        let since = last["sent_at"].as_u64().unwrap().to_string();
        assert_eq!(person.ok(&["history", peer, "--since", &since]).texts(), ["four"]);
    }
}

#[test]
fn a_message_for_a_dead_server_waits_and_the_next_command_sends_it() {
    let mut world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    alice.ok(&["send", "bob", "before"]);
    world.kill_server();
    let ended = alice.run(&["send", "bob", "meanwhile"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let queued = ended.events("queued")[0].clone();
    assert_eq!(queued["to"], "bob");
    assert_eq!(alice.run(&["receive"]).code, Some(3));
    assert_eq!(alice.ok(&["history", "bob"]).texts(), ["before", "meanwhile"], "the history needs no server");
    world.start_server();
    let ended = alice.ok(&["receive"]);
    assert_eq!(ended.events("sent")[0]["message_id"], queued["message_id"]);
    assert_eq!(bob.receives(), ["before", "meanwhile"]);
    assert!(!alice.ok(&["status"]).has("sent"), "a sent line is printed once");
}

#[test]
fn a_text_from_standard_input_is_taken_whole() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let text = "first line\n\n  third line";
    let ended = finish_with_input(alice.command(&["send", "bob", "-"]), &format!("{text}\n"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let longest = "x".repeat(65_536);
    let ended = finish_with_input(alice.command(&["send", "bob", "-"]), &longest);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = finish_with_input(alice.command(&["send", "bob", "-"]), &"x".repeat(65_537));
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "text_length"));
    let ended = finish_with_input(alice.command(&["send", "bob", "-"]), "");
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "text_length"));
    assert_eq!(bob.receives(), [text, &longest]);
}

#[test]
fn what_a_peer_writes_can_not_control_the_terminal() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let text = "hi\u{1b}[2J\u{202e}\u{9b}\nbob: forged";
    alice.ok(&["send", "bob", text]);
    let ended = finish(bob.bare(&["receive"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "alice: hi\\u{1b}[2J\\u{202e}\\u{9b}\\nbob: forged\n");
    let ended = bob.ok(&["history", "alice"]);
    assert_eq!(ended.stdout.lines().count(), 1);
    assert!(ended.stdout.contains("\\u202e") && ended.stdout.contains("\\u009b"));
    assert_eq!(ended.texts(), [text]);
}

#[test]
fn receive_stops_after_as_many_messages_as_asked_for() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    for text in ["one", "two", "three"] {
        alice.ok(&["send", "bob", text]);
    }
    assert_eq!(bob.ok(&["receive", "--max", "1"]).texts(), ["one"]);
    assert_eq!(bob.ok(&["receive", "--follow", "--max", "2"]).texts(), ["two", "three"]);
    let ended = bob.run(&["receive", "--follow", "--timeout", "0.5"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(6), "timeout"));
}

#[test]
fn a_recipient_that_is_not_there_is_refused_and_not_kept() {
    let world = World::start();
    let alice = world.registered("alice");
    let ended = alice.run(&["send", "nobody", "hello"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(["recipient_unknown", "not_found"].contains(&ended.error().as_str()), "{ended:?}");
    assert!(ended.stderr.contains("nobody on this server is called nobody"), "{ended:?}");
    assert_eq!(alice.ok(&["status"]).events("status")[0]["outbox"], 0);
}

#[test]
fn files_are_for_their_owner_alone_and_a_loosened_vault_is_refused() {
    let world = World::start();
    let alice = world.registered("alice");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&alice.profile_folder()), 0o700);
    for entry in fs::read_dir(alice.profile_folder()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let vault = alice.profile_folder().join("vault.db");
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(alice.run(&["whoami"]).code, Some(7));
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o600)).unwrap();
    alice.ok(&["whoami"]);
}

#[test]
fn a_chat_sends_each_line_and_prints_what_comes() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    alice.ok(&["send", "bob", "are you there?"]);
    let ended = finish_with_input(bob.command(&["chat", "alice"]), "yes\n\nwhat is it?\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.texts(), ["are you there?"]);
    assert_eq!(ended.events("sent").len(), 2);
    assert_eq!(alice.receives(), ["yes", "what is it?"]);
}
