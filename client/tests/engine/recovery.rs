//! Vaults rolled back, servers restored, sessions repaired, keys renewed.

use bytes::Bytes;
use sealpost_client::engine::{Command, CommandError, Event, NoticeBody, Outcome};
use sealpost_client::vault::Table;

use crate::support::{World, name};

#[test]
fn a_vault_rolled_back_is_noticed_and_nothing_is_sent_with_an_old_ratchet() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    world.sent(1, "alice", "one");
    let yesterday = world.clients[0].vault.clone();
    for text in ["2", "3"] {
        world.sent(0, "bobby", text);
    }
    world.sent(1, "alice", "two");
    world.clients[0].vault = yesterday;
    world.kill(0);
    let taken = world.server.bundles_taken;
    let one_time_id = {
        let address = world.address(0);
        world.server.device(address).max_issued
    };
    world.online(0);
    assert_eq!(world.count(0, |event| *event == Event::RolledBack), 1);
    assert!(matches!(world.warnings(0)[0], NoticeBody::RolledBack));
    world.sent(0, "bobby", "4");
    assert!(world.server.bundles_taken > taken, "a new session was begun");
    let address = world.address(0);
    let device = world.server.device(address);
    assert_eq!(device.highest, 3 + 1025 + 1);
    assert!(device.one_time.keys().all(|id| *id > one_time_id), "all one-time prekeys are new");
    assert_eq!(device.signed_prekey.as_ref().unwrap().id, 2);
    assert_eq!(world.shown(1), ["1", "2", "3", "4"]);
    world.sent(1, "alice", "three");
    world.sent(0, "bobby", "5");
    assert_eq!(world.shown(1), ["1", "2", "3", "4", "5"]);
    // The vault has forgotten that "two" was received, so it waits for it and then says that it is missing.
    world.pass(31_000);
    assert_eq!(world.shown(0), ["one", "three"]);
    assert!(matches!(world.warnings(0)[..], [NoticeBody::RolledBack, NoticeBody::Gap { .. }]));
    assert!(!world.query(0, |engine, context| engine.status(context).unwrap().recovering));
}

#[test]
fn a_restored_server_gets_again_what_it_lost() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    world.offline(1);
    let backup = world.server.store.clone();
    for text in ["2", "3"] {
        world.sent(0, "bobby", text);
    }
    world.server.restore(backup);
    for client in 0..2 {
        world.break_stream(client, None);
        world.begin(client, Command::GoOnline);
    }
    world.pass(60_000);
    assert_eq!(world.shown(1), ["1", "2", "3"]);
    assert_eq!(world.warnings(1).len(), 1, "only that it was restored");
    assert!(
        world
            .warnings(0)
            .iter()
            .any(|body| matches!(body, NoticeBody::Restored { resent: 2, lost } if lost.is_empty()))
    );
    let address = world.address(0);
    assert_eq!(world.server.device(address).highest, 3);
    assert!(world.server.device(address).one_time.keys().all(|id| *id > 100), "the key epoch made all keys new");
    world.sent(0, "bobby", "4");
    assert_eq!(world.shown(1), ["1", "2", "3", "4"]);
}

#[test]
fn a_crash_in_the_middle_of_sending_again_after_a_restore_loses_nothing() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    let backup = world.server.store.clone();
    world.offline(1);
    for text in ["2", "3"] {
        world.sent(0, "bobby", text);
    }
    world.server.restore(backup);
    world.break_stream(0, None);
    world.begin(0, Command::GoOnline);
    while world.count(0, |event| *event == Event::Restored) == 0 {
        if !world.step() {
            world.pass(500);
        }
    }
    world.kill(0);
    world.login(0, "alice", false).unwrap();
    world.online(0);
    world.begin(1, Command::GoOnline);
    world.pass(60_000);
    assert_eq!(world.shown(1), ["1", "2", "3"]);
}

#[test]
fn a_corrupted_message_is_reported_asked_for_again_and_shown() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    world.sent(1, "alice", "hi");
    world.offline(1);
    for text in ["1", "2", "3"] {
        world.sent(0, "bobby", text);
    }
    let address = world.address(1);
    let item = world.server.device(address).queue.values_mut().nth(1).unwrap();
    let mut bytes = item.ciphertext.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    item.ciphertext = Bytes::from(bytes);
    world.online(1);
    let mut shown = world.shown(1);
    shown.sort();
    assert_eq!(shown, ["1", "2", "3", "hi"]);
    let warnings = world.warnings(1);
    assert!(matches!(warnings[0], NoticeBody::Undecryptable { asked_again: true, .. }), "{warnings:?}");
    assert!(warnings.iter().any(|body| matches!(body, NoticeBody::SessionRepaired { .. })), "{warnings:?}");
    assert!(!warnings.iter().any(|body| matches!(body, NoticeBody::Gap { .. })), "the gap was withdrawn: {warnings:?}");
    world.sent(0, "bobby", "4");
    world.sent(1, "alice", "5");
    assert_eq!(world.shown(1).last().unwrap(), "4");
    assert_eq!(world.shown(0).last().unwrap(), "5");
}

#[test]
fn repairs_are_asked_for_at_most_once_in_ten_minutes_and_five_times_a_day() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    world.sent(1, "alice", "hi");
    let bobby = world.address(1);
    let mut asked = 0;
    for _ in 0..30 {
        world.server.paused = true;
        world.sent(0, "bobby", "x");
        for item in world.server.device(bobby).queue.values_mut() {
            item.ciphertext = Bytes::from_static(b"poison");
        }
        world.server.paused = false;
        let before = world.server.bundles_taken;
        world.deliver_all();
        world.pass(61_000);
        asked += world.server.bundles_taken - before;
    }
    assert!((2..=4).contains(&asked), "{asked} in half an hour");
    world.pass(23 * 3_600_000);
    assert!(world.server.bundles_taken - 1 <= 5, "{}", world.server.bundles_taken);
}

#[test]
fn prekeys_are_topped_up_when_they_run_low() {
    let mut world = World::with(&["alice", "bobby"]);
    let address = world.address(1);
    let device = world.server.device(address);
    while device.one_time.len() > 10 {
        device.one_time.pop_first();
    }
    world.frame(1, sealpost_api::frames::ServerFrame::PrekeysLow { left: 10 });
    let device = world.server.device(address);
    assert_eq!(device.one_time.len(), 100);
    assert_eq!(device.max_issued, 190);
    world.sent(0, "bobby", "hi");
    assert_eq!(world.shown(1), ["hi"]);
}

#[test]
fn the_signed_prekey_is_rotated_every_week_and_the_old_one_still_works() {
    let mut world = World::with(&["alice", "bobby"]);
    let address = world.address(1);
    let old = world.server.device(address).signed_prekey.clone();
    world.pass(8 * 86_400_000);
    let new = world.server.device(address).signed_prekey.clone();
    assert_eq!((old.as_ref().unwrap().id, new.as_ref().unwrap().id), (1, 2));
    world.server.device(address).signed_prekey = old;
    world.sent(0, "bobby", "to the old key");
    assert_eq!(world.shown(1), ["to the old key"]);
}

#[test]
fn keys_are_rotated_and_counted_on_command() {
    let mut world = World::with(&["alice"]);
    let rotated = world.command(0, Command::RotateKeys);
    assert!(
        matches!(rotated, Some(Ok(Outcome::Keys(keys))) if keys.signed_prekey_id == 2 && keys.one_time_left == 100)
    );
    let counted = world.command(0, Command::KeyStatus);
    assert!(matches!(counted, Some(Ok(Outcome::Keys(keys))) if keys.signed_prekey_id == 2));
}

#[test]
fn without_one_time_prekeys_messages_still_arrive() {
    let mut world = World::with(&["alice", "bobby"]);
    let address = world.address(1);
    world.server.device(address).one_time.clear();
    world.sent(0, "bobby", "hi");
    assert_eq!(world.shown(1), ["hi"]);
    assert_eq!(world.shown_messages(1)[0].peer, name("alice").as_str());
}

#[test]
fn a_corrupted_first_message_of_a_stranger_is_asked_for_when_a_later_one_tells_who_it_was() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(1);
    for text in ["1", "2"] {
        world.sent(0, "bobby", text);
    }
    let address = world.address(1);
    let item = world.server.device(address).queue.values_mut().next().unwrap();
    let mut bytes = item.ciphertext.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    item.ciphertext = Bytes::from(bytes);
    world.online(1);
    world.pass(1_000);
    let mut shown = world.shown(1);
    shown.sort();
    assert_eq!(shown, ["1", "2"]);
}

#[test]
fn a_message_that_a_rolled_back_vault_sends_a_second_time_is_shown_once() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    world.offline(0);
    world.server_down = true;
    world.begin(0, Command::Send { to: name("bobby"), text: "2".to_owned() });
    world.pass(10_000);
    let waiting = world.clients[0].vault.clone();
    world.server_down = false;
    world.online(0);
    assert_eq!(world.shown(1), ["1", "2"]);
    world.clients[0].vault = waiting;
    world.kill(0);
    world.online(0);
    world.pass(60_000);
    assert_eq!(world.count(0, |event| *event == Event::RolledBack), 1);
    assert!(world.query(0, |engine, _| engine.outbox()).is_empty());
    assert_eq!(world.shown(1), ["1", "2"]);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn a_rollback_noticed_at_opening_retires_the_ratchets_before_the_server_is_asked() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "1");
    world.sent(1, "alice", "one");
    let yesterday = world.clients[0].vault.clone();
    // What was only taken in since is not seen by the server's count.
    world.sent(1, "alice", "two");
    world.clients[0].vault = yesterday;
    world.kill(0);
    let taken = world.server.bundles_taken;
    for _ in 0..2 {
        // A crash before it was settled repeats it.
        world.query(0, |engine, context| engine.vault_rolled_back(context).unwrap());
    }
    world.online(0);
    world.sent(0, "bobby", "2");
    assert!(world.server.bundles_taken > taken, "a new session was begun");
    let address = world.address(0);
    assert_eq!(world.server.device(address).highest, 1 + 1025 + 1);
    assert_eq!(world.shown(1), ["1", "2"]);
    let told = |body: &&NoticeBody| matches!(body, NoticeBody::RolledBack);
    assert_eq!(world.warnings(0).iter().filter(told).count(), 1);
    world.kill(0);
    world.online(0);
    world.sent(0, "bobby", "3");
    assert_eq!(world.server.device(address).highest, 1 + 1025 + 2, "it is over");
    assert!(!world.query(0, |engine, context| engine.status(context).unwrap().recovering));
}

#[test]
fn records_of_what_was_sent_before_a_rollback_are_dropped_after_30_days() {
    let mut world = World::with(&["alice", "bobby"]);
    let yesterday = world.clients[0].vault.clone();
    world.sent(0, "bobby", "lost here");
    world.clients[0].vault = yesterday;
    world.kill(0);
    for text in ["1", "2", "3"] {
        world.sent(0, "bobby", text);
    }
    let yesterday = world.clients[0].vault.clone();
    world.sent(0, "bobby", "lost too");
    world.clients[0].vault = yesterday;
    world.kill(0);
    world.sent(0, "bobby", "4");
    let records = |world: &mut World| world.query(0, |_, context| context.vault.count(Table::Sent).unwrap());
    assert_eq!(records(&mut world), 4, "they are kept for repairs");
    world.pass(31 * 86_400_000);
    for text in ["5", "6", "7"] {
        world.sent(0, "bobby", text);
    }
    assert_eq!(records(&mut world), 3);
}

#[test]
fn answers_that_are_none_are_asked_for_ever_more_seldom() {
    let mut world = World::with(&["alice"]);
    world.spoiled = Some("/v1/prekeys");
    world.begin(0, Command::RotateKeys);
    world.pass(600_000);
    let asked = world.spoiled_answers;
    assert!((5..60).contains(&asked), "{asked}");
    world.spoiled = None;
    world.pass(60_000);
    let address = world.address(0);
    assert_eq!(world.server.device(address).signed_prekey.as_ref().unwrap().id, 2);
}

#[test]
fn a_repair_with_a_device_that_is_away_does_not_keep_messages_from_the_others() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    let tablet = crate::devices::link(&mut world, 1);
    world.sent(0, "bobby", "hi both");
    world.sent(tablet, "alice", "hi");
    world.offline(0);
    world.sent(tablet, "alice", "damaged");
    let alice = world.address(0);
    let item = world.server.device(alice).queue.values_mut().next().unwrap();
    let mut bytes = item.ciphertext.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    item.ciphertext = Bytes::from(bytes);
    let away = world.address(tablet).device.get();
    world.server.tamper_bundles = Some(Box::new(move |response| {
        for bundle in response.bundles.iter_mut().filter(|bundle| bundle.device_id == away) {
            bundle.signed_prekey = None;
            bundle.dormant = true;
        }
    }));
    world.online(0);
    world.begin(0, Command::Send { to: name("bobby"), text: "important".to_owned() });
    world.pass(120_000);
    assert_eq!(world.shown(1).last().unwrap(), "important");
}

#[test]
fn a_welcome_that_cannot_be_true_ends_what_waits_for_it() {
    let mut world = World::with(&["alice"]);
    world.offline(0);
    let address = world.address(0);
    world.server.device(address).highest = u64::MAX - 1;
    assert_eq!(world.command(0, Command::GoOnline), Some(Err(CommandError::BadAnswer)));
}
