//! What a person sees and is asked at a real terminal.

use std::process::Command;

use crate::pty::Terminal;
use crate::support::{Person, World, program};

/// A command of a new profile of this name, without files for its secrets.
fn asking(world: &World, profile: &str, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("--data").arg(world.folder().join("clients")).args(["--profile", profile, "--quiet"]).args(arguments);
    command
}

/// A command of a registered person at a terminal: without the spinner, whose own control characters would be in the way.
fn quiet(person: &Person, arguments: &[&str]) -> Command {
    let mut command = person.bare(&["--quiet"]);
    command.args(arguments);
    command
}

#[test]
fn a_person_is_asked_twice_for_new_secrets_and_for_the_authority_once() {
    let mut world = World::start();
    world.show_certificates(true);
    let register = asking(&world, "alice", &["--server", &world.url, "register", "alice"]);
    let (password, passphrase) = ("correct horse battery", "under the vault");
    let answer_password = |terminal: &mut Terminal| {
        terminal.answer_hidden("New password for the account: ", password);
        terminal.answer_hidden("The same again: ", password);
    };

    let mut terminal = Terminal::start(&register);
    terminal.answer_hidden("New password for the account: ", password);
    terminal.answer_hidden("The same again: ", "another one, mistyped");
    terminal.expect("These were not the same.");
    answer_password(&mut terminal);
    terminal.answer_hidden("New passphrase: ", passphrase);
    terminal.answer_hidden("The same again: ", passphrase);
    terminal.expect(&world.fingerprint);
    terminal.expect("[yes/no] ");
    terminal.type_keys("y\n");
    terminal.expect("Nothing was sent.");
    let ended = terminal.finish();
    assert_eq!(ended.code, Some(5), "only the whole word is a yes: {ended:?}");
    for secret in [password, passphrase, "mistyped"] {
        assert!(!ended.stdout.contains(secret), "what is typed is not shown");
    }

    let mut terminal = Terminal::start(&register);
    answer_password(&mut terminal);
    terminal.answer_hidden("Passphrase: ", passphrase);
    terminal.expect(&world.fingerprint);
    terminal.expect("[yes/no] ");
    terminal.type_keys("yes\n");
    terminal.expect("registered as alice");
    let ended = terminal.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("New passphrase"), "the vault is there already");

    let mut terminal = Terminal::start(&asking(&world, "alice", &["status"]));
    terminal.answer_hidden("Passphrase: ", passphrase);
    let ended = terminal.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("[yes/no]"), "the authority is pinned");
}

#[test]
fn an_authority_accepted_by_a_yes_is_pinned() {
    let mut world = World::start();
    world.show_certificates(true);
    let alice = world.person("alice");
    let mut terminal = Terminal::start(&quiet(&alice, &["--server", &world.url, "register", "alice"]));
    terminal.expect(&world.fingerprint);
    terminal.expect("[yes/no] ");
    terminal.type_keys("yes\n");
    terminal.expect("registered as alice");
    assert_eq!(terminal.finish().code, Some(0));

    // The same data and another authority, as an impostor would have it.
    world.kill_server();
    std::fs::rename(world.folder().join("server/tls"), world.folder().join("tls-before")).unwrap();
    world.serve_built_in();
    let ended = Terminal::start(&quiet(&alice, &["status"])).finish();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains("server_untrusted") && !ended.stdout.contains("[yes/no]"), "{ended:?}");
}

#[test]
fn nobody_is_asked_about_a_server_that_does_not_show_its_authority() {
    let mut world = World::start();
    world.show_certificates(false);
    let alice = world.person("alice");
    let ended = Terminal::start(&quiet(&alice, &["--server", &world.url, "register", "alice"])).finish();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stdout.contains("--ca FILE") && !ended.stdout.contains("[yes/no]"), "{ended:?}");
    alice.ok(&["register", "alice"]);
}

#[test]
fn what_a_peer_writes_is_made_visible_at_a_terminal() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let shown = "hi\\u{1b}[2J\\u{202e}\\u{9b}\\u{7}\\nbob: forged";
    for arguments in [&["receive"][..], &["history", "alice"], &["chat", "alice"]] {
        alice.ok(&["send", "bob", "hi\u{1b}[2J\u{202e}\u{9b}\u{7}\nbob: forged"]);
        let mut terminal = Terminal::start(&quiet(&bob, arguments));
        if arguments[0] == "history" {
            // The message of this round is still with the server; that of the last is in the vault.
            assert_eq!(terminal.finish().stdout.matches(shown).count(), 1);
            continue;
        }
        terminal.expect(shown);
        if arguments[0] == "chat" {
            terminal.type_keys("\u{4}");
        }
        let ended = terminal.finish();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let obeyed = |character: char| character.is_control() && !matches!(character, '\r' | '\n');
        assert!(!ended.stdout.contains(obeyed) && !ended.stdout.contains('\u{202e}'), "{ended:?}");
    }
}

#[test]
fn ctrl_c_ends_a_question() {
    let world = World::start();
    let alice = world.registered("alice");
    let mut terminal = Terminal::start(&quiet(&alice, &["delete-account"]));
    terminal.expect("[yes/no] ");
    terminal.type_keys("\u{3}");
    let ended = terminal.finish();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    alice.ok(&["status"]);
}

#[test]
fn a_passphrase_is_asked_for_while_the_text_comes_from_a_pipe() {
    let world = World::start();
    let (_alice, bob) = (world.registered("alice"), world.registered("bob"));
    let send = asking(&world, "alice", &["send", "bob", "-"]);
    let mut piped = Command::new("sh");
    piped.args(["-c", "echo report | \"$0\" \"$@\""]).arg(send.get_program()).args(send.get_args());
    let mut terminal = Terminal::start(&piped);
    terminal.answer_hidden("Passphrase: ", "alice has a passphrase of their own");
    terminal.expect("sent to bob");
    assert_eq!(terminal.finish().code, Some(0));
    assert_eq!(bob.receives(), ["report"]);
}
