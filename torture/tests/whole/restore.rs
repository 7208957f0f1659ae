use std::collections::BTreeMap;
use std::process::Command;
use std::thread;

use rusqlite::Connection;
use sealpost_harness::cli::Person;

use super::scene::{Scene, chat, history, receive, run, send, texts};

/// Messages written after the backup, which the restored server has never seen.
const AFTER: usize = 500;

/// The ids of the one-time prekeys that the server has, by device.
fn prekeys(scene: &Scene) -> BTreeMap<i64, Vec<i64>> {
    let store = Connection::open(scene.database()).unwrap();
    let mut statement = store.prepare("SELECT dev, key_id FROM one_time_prekeys ORDER BY dev, key_id").unwrap();
    let mut found: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for row in rows {
        let (device, key): (i64, i64) = row.unwrap();
        found.entry(device).or_default().push(key);
    }
    found
}

fn maintain(scene: &Scene, arguments: &[&str]) -> String {
    let output = Command::new(&scene.programs.server).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Comes back online, logging in again where the server has ended the session; then prints what is new.
fn comes_back(person: &Person) {
    let ended = run(person, &["receive"]);
    if ended.code == Some(4) {
        assert_eq!(run(person, &["login", &person.name]).code, Some(0), "{} could not log in again", person.name);
        receive(person);
    }
}

#[test]
fn an_old_backup_loses_nothing_between_devices_that_live() {
    let mut scene = Scene::new();
    let [alice, bob, carol, dave] = ["alice", "bobby", "carol", "davey"].map(|name| scene.person(name));
    send(&alice, &bob, "before");
    assert_eq!(texts(&receive(&bob)), ["before"]);
    send(&bob, &alice, "before too");
    receive(&alice);
    send(&dave, &bob, "dave before");

    // The backup is taken while messages are accepted.
    let (data, backup) = (scene.folder.path().join("server"), scene.folder.path().join("backup"));
    let (data, backup) = (data.to_str().unwrap().to_owned(), backup.to_str().unwrap().to_owned());
    let lines = |count: usize, label: &str| (0..count).map(|n| format!("{label} {n}")).collect::<Vec<_>>();
    let during = thread::scope(|threads| {
        let load = threads.spawn(|| chat(&alice, "bobby", &lines(60, "during")));
        maintain(&scene, &["backup", "--data", &data, "--to", &backup]);
        load.join().unwrap()
    });
    assert_eq!(during, 60);

    // Life goes on: messages, takes of one-time prekeys, a log-out, and a device removed by a new identity.
    let before = prekeys(&scene);
    assert_eq!(chat(&alice, "bobby", &lines(AFTER / 2, "after")), AFTER / 2);
    receive(&bob);
    assert_eq!(chat(&bob, "alice", &lines(AFTER / 2, "answer")), AFTER / 2);
    send(&carol, &bob, "carol after");
    send(&carol, &alice, "carol after");
    assert_eq!(run(&dave, &["logout"]).code, Some(0));
    let issued: i64 = before.values().flatten().copied().max().unwrap();

    scene.server.kill().unwrap();
    maintain(&scene, &["verify", "--from", &backup]);
    maintain(&scene, &["restore", "--from", &backup, "--data", &data, "--replace"]);
    maintain(&scene, &["verify", "--data", &data]);
    assert_eq!(prekeys(&scene), BTreeMap::new(), "a restored server has no one-time prekey to give a second time");
    scene.server.restart().unwrap();

    // Nobody is logged in who was logged out: not even with what the backup knew.
    assert_eq!(run(&dave, &["receive"]).code, Some(4));
    for _ in 0..3 {
        for person in [&alice, &bob, &carol] {
            comes_back(person);
        }
    }
    for keys in prekeys(&scene).values() {
        assert!(keys.iter().all(|key| *key > issued), "a one-time prekey that may have been taken was given again");
    }
    let mut to_bob = vec!["before".to_owned()];
    to_bob.extend(lines(60, "during"));
    to_bob.extend(lines(AFTER / 2, "after"));
    let mut to_alice = vec!["before too".to_owned()];
    to_alice.extend(lines(AFTER / 2, "answer"));
    assert_eq!(history(&bob, "alice", "alice"), to_bob);
    assert_eq!(history(&alice, "bobby", "bobby"), to_alice);
    for person in [&alice, &bob] {
        assert_eq!(history(person, "carol", "carol"), ["carol after"]);
    }
    assert_eq!(history(&bob, "davey", "davey"), ["dave before"]);

    // And on it goes, also with new sessions.
    send(&alice, &bob, "on we go");
    assert!(texts(&receive(&bob)).contains(&"on we go"));
    let erin = scene.person("erinn");
    send(&erin, &bob, "hello");
    assert!(texts(&receive(&bob)).contains(&"hello"));
}

#[test]
fn a_device_removed_after_the_backup_is_removed_again_after_the_restore() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.person("alice"), scene.person("bobby"));
    send(&alice, &bob, "to the old machine");
    assert_eq!(texts(&receive(&bob)), ["to the old machine"]);
    let (data, backup) = (scene.folder.path().join("server"), scene.folder.path().join("backup"));
    let (data, backup) = (data.to_str().unwrap().to_owned(), backup.to_str().unwrap().to_owned());
    maintain(&scene, &["backup", "--data", &data, "--to", &backup]);

    let again = scene.machine("bobby", "bobby-again");
    assert_eq!(run(&again, &["login", "bobby", "--new-identity"]).code, Some(0));
    assert_eq!(run(&alice, &["send", "bobby", "who are you?"]).code, Some(5));
    assert_eq!(run(&alice, &["verify", "bobby", "--accept"]).code, Some(0));
    send(&alice, &again, "to the new machine");
    assert_eq!(texts(&receive(&again)), ["to the new machine"]);

    scene.server.kill().unwrap();
    maintain(&scene, &["restore", "--from", &backup, "--data", &data, "--replace"]);
    scene.server.restart().unwrap();
    comes_back(&alice);
    // The old machine is in the server's old list, and in no list that Alice would follow.
    let ended = run(&alice.clone().patient_for(5), &["send", "bobby", "not for the old machine"]);
    assert!(ended.code != Some(0), "{ended:?}");
    run(&bob, &["login", "bobby"]);
    let ended = run(&bob.patient_for(2), &["receive"]);
    assert!(!texts(&ended.lines).contains(&"not for the old machine"), "{ended:?}");
    // The new machine brings its identity back as it was, and Alice need not accept it again.
    assert_eq!(run(&again, &["login", "bobby", "--new-identity"]).code, Some(0));
    run(&alice, &["receive"]);
    receive(&again);
    let history = history(&again, "alice", "alice");
    assert_eq!(history, ["to the new machine", "not for the old machine"]);
}
