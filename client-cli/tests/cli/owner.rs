//! One process owns a profile; others go through it, or wait.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{World, until};

#[test]
fn other_commands_go_through_a_follower_and_behave_the_same() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let follower = bob.follow();
    let socket = bob.profile_folder().join("socket");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    alice.ok(&["send", "bob", "live"]);
    assert_eq!(follower.next("message")["text"], "live");
    let sent = bob.ok(&["send", "alice", "through the socket"]).events("sent")[0].clone();
    assert_eq!(sent["to"], "alice");
    assert_eq!(bob.ok(&["history", "alice"]).texts(), ["live", "through the socket"]);
    assert_eq!(bob.ok(&["whoami"]).events("whoami")[0]["account"], "bob");
    assert!(bob.receives().is_empty(), "the follower printed it already");
    let ended = bob.run(&["send", "nobody", "x"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let ended = bob.run(&["send", "al", "x"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "username_invalid"));
    assert_eq!(alice.receives(), ["through the socket"]);

    assert_eq!(follower.stop(rustix::process::Signal::TERM), Some(0));
    assert!(!socket.exists());
    bob.ok(&["whoami"]);
}

#[test]
fn a_killed_follower_loses_nothing() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let follower = bob.follow();
    alice.ok(&["send", "bob", "one"]);
    follower.next("message");
    follower.kill();
    assert!(bob.profile_folder().join("socket").exists(), "a killed owner leaves its socket");
    alice.ok(&["send", "bob", "two"]);
    let texts = bob.receives();
    assert_eq!(texts.last().unwrap(), "two");
    assert!(texts.len() == 1 || texts == ["one", "two"], "what was printed may come again, once: {texts:?}");
    bob.ok(&["send", "alice", "three"]);
    assert_eq!(alice.receives(), ["three"]);
}

#[test]
fn commands_whose_owner_is_killed_are_carried_out_once() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    bob.ok(&["send", "alice", "first"]);
    for round in 0..3 {
        let follower = bob.follow();
        let commands: Vec<_> =
            (0..3).map(|number| bob.start(&["send", "alice", &format!("{round}.{number}")])).collect();
        follower.kill();
        for mut command in commands {
            let status = until("the command ends", || command.child.try_wait().unwrap());
            assert_eq!(status.code(), Some(0), "{}", command.errors());
        }
    }
    let mut texts = alice.receives();
    texts.sort();
    assert_eq!(texts, ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "first"]);
}

#[test]
fn commands_side_by_side_wait_for_each_other() {
    let world = World::start();
    let (alice, bob) = (world.registered("alice"), world.registered("bob"));
    let commands: Vec<_> = (0..4).map(|number| alice.start(&["send", "bob", &number.to_string()])).collect();
    for command in &commands {
        command.next("sent");
    }
    drop(commands);
    let mut texts = bob.receives();
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

#[test]
fn a_busy_profile_is_6_when_the_time_is_up() {
    let world = World::start();
    let alice = world.registered("alice");
    let lock = fs::OpenOptions::new().read(true).write(true).open(alice.profile_folder().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let ended = alice.run(&["whoami", "--timeout", "0.3"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(6), "profile_busy"));
}
