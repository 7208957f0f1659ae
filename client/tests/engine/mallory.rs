//! A malicious server: what it drops, repeats, exchanges or damages is refused or shown.

use bytes::Bytes;
use sealpost_client::engine::{GapKind, MessageFlag, NoticeBody, Undecryptable};
use sealpost_client::vault::Table;
use sealpost_crypto::{DeviceAddress, PairSessions};

use crate::support::World;
use crate::support::server::Row;

/// A conversation under way, with messages of Alice's in Bobby's queue.
pub(crate) fn queued(texts: &[&str]) -> (World, DeviceAddress) {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    world.sent(1, "alice", "hi");
    world.offline(1);
    for text in texts {
        world.sent(0, "bobby", text);
    }
    let address = world.address(1);
    (world, address)
}

pub(crate) fn rows(world: &mut World, address: DeviceAddress) -> Vec<(u64, Row)> {
    world.server.device(address).queue.iter().map(|(row, item)| (*row, item.clone())).collect()
}

pub(crate) fn put(world: &mut World, address: DeviceAddress, item: Row) {
    let row = world.server.store.next_row;
    world.server.store.next_row += 1;
    world.server.device(address).queue.insert(row, item);
    world.deliver_all();
    world.run();
}

/// T-MALLORY-7.
#[test]
fn threat_18_reordered_messages_are_shown_in_order() {
    let (mut world, address) = queued(&["1", "2", "3", "4"]);
    let items = rows(&mut world, address);
    for ((row, _), (_, item)) in items.iter().zip(items.iter().rev()) {
        world.server.device(address).queue.insert(*row, item.clone());
    }
    world.online(1);
    assert_eq!(world.shown(1), ["hi", "1", "2", "3", "4"]);
    assert_eq!(world.warnings(1), []);
}

/// T-MALLORY-8: whichever is left out, the next one shows it.
#[test]
fn threat_19_a_dropped_message_is_a_visible_gap() {
    for dropped in 0..3 {
        let (mut world, address) = queued(&["1", "2", "3", "4"]);
        let (row, _) = rows(&mut world, address)[dropped];
        world.server.device(address).queue.remove(&row);
        world.online(1);
        let mut expected = vec!["hi", "1", "2", "3", "4"];
        expected.remove(dropped + 1);
        assert_eq!(world.shown(1), expected);
        // The first counter was the greeting's.
        let counter = dropped as u64 + 2;
        let warnings = world.warnings(1);
        assert!(
            matches!(&warnings[..], [NoticeBody::Gap { kind: GapKind::Missing { first, last }, .. }]
                if (*first, *last) == (counter, counter)),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_gap_is_withdrawn_when_the_missing_message_comes() {
    for printed in [false, true] {
        let (mut world, address) = queued(&["1", "2", "3"]);
        let (row, item) = rows(&mut world, address)[1].clone();
        world.server.device(address).queue.remove(&row);
        world.online(1);
        if printed {
            let last = world.notices(1).last().unwrap().position;
            world.query(1, |engine, context| engine.mark_printed(context, last).unwrap());
        }
        put(&mut world, address, item);
        let late = world.shown_messages(1).pop().unwrap();
        assert_eq!((late.text.as_str(), late.flags), ("2", vec![MessageFlag::Late]));
        let warnings = world.warnings(1);
        if printed {
            assert!(matches!(&warnings[..], [NoticeBody::GapClosed { counter: 3, .. }]), "{warnings:?}");
        } else {
            assert_eq!(warnings, []);
        }
    }
}

#[test]
fn while_connected_a_missing_message_is_waited_for_and_then_said_to_be_missing() {
    let (mut world, address) = queued(&[]);
    world.online(1);
    world.server.paused = true;
    world.sent(0, "bobby", "1");
    world.sent(0, "bobby", "2");
    let (row, _) = rows(&mut world, address)[0];
    world.server.device(address).queue.remove(&row);
    world.server.paused = false;
    world.deliver_all();
    world.run();
    assert_eq!(world.shown(1), ["hi"]);
    world.pass(29_000);
    assert_eq!(world.shown(1), ["hi"]);
    world.pass(2_000);
    assert_eq!(world.shown(1), ["hi", "2"]);
    assert_eq!(world.warnings(1).len(), 1);
}

/// T-MALLORY-6: each is delivered three times more, days later, also when the ratchet has long forgotten its chain.
#[test]
fn threat_17_replayed_messages_are_shown_once() {
    let (mut world, address) = queued(&["1", "2"]);
    let items = rows(&mut world, address);
    world.online(1);
    for days in 1..4 {
        world.pass(days * 86_400_000);
        for (_, item) in &items {
            put(&mut world, address, item.clone());
        }
        for turn in 0..3 {
            world.sent(1, "alice", &format!("from Bobby, {days}.{turn}"));
            world.sent(0, "bobby", &format!("from Alice, {days}.{turn}"));
        }
    }
    assert_eq!(world.shown(1).iter().filter(|text| ["1", "2"].contains(&text.as_str())).count(), 2);
    assert_eq!(world.warnings(1), []);
}

/// The same bytes under another number are known by the ratchet, whose key for them is used up.
#[test]
fn threat_17_a_message_replayed_under_another_number_is_shown_once() {
    let (mut world, address) = queued(&["1", "2"]);
    let items = rows(&mut world, address);
    world.online(1);
    for again in 1..4 {
        for (_, item) in &items {
            put(&mut world, address, Row { number: item.number + 1_000 * again, ..item.clone() });
        }
    }
    assert_eq!(world.shown(1), ["hi", "1", "2"]);
    assert_eq!(world.warnings(1), []);
}

/// With a one-time prekey and without: then nothing but the memory of base keys stops a second session.
#[test]
fn threat_11_a_replayed_initial_message_is_shown_once_and_makes_one_session() {
    for one_time in [true, false] {
        let mut world = World::with(&["alice", "bobby"]);
        world.offline(1);
        let address = world.address(1);
        if !one_time {
            world.server.device(address).one_time.clear();
        }
        world.sent(0, "bobby", "first");
        let (_, item) = rows(&mut world, address)[0].clone();
        let prekeys = |world: &mut World| world.query(1, |_, context| context.vault.count(Table::Prekey).unwrap());
        // The message waits until the keys were topped up.
        world.server.paused = true;
        world.online(1);
        let topped_up = prekeys(&mut world);
        world.server.paused = false;
        world.deliver_all();
        world.run();
        let used = u64::from(one_time);
        assert_eq!(prekeys(&mut world), topped_up - used, "the one-time prekey that was used is deleted");
        for index in 0..1_000 {
            put(&mut world, address, Row { number: 500 + index, ..item.clone() });
        }
        assert_eq!(world.shown(1), ["first"]);
        assert_eq!(world.warnings(1), []);
        let alice = world.address(0).to_bytes();
        let stored = world.query(1, |_, context| context.vault.get(Table::Session, &alice).unwrap().unwrap());
        let sessions = format!("{:?}", PairSessions::from_bytes(&stored).unwrap());
        assert!(sessions.contains("active: true, archived: 0, base_keys: 1"), "{sessions}");
        world.sent(1, "alice", "reply");
        assert_eq!(world.shown(0), ["reply"]);
    }
}

#[test]
fn a_relabelled_message_is_shown_as_such() {
    let (mut world, address) = queued(&["1"]);
    for item in world.server.device(address).queue.values_mut() {
        item.number += 7;
    }
    world.online(1);
    let message = world.shown_messages(1).pop().unwrap();
    assert_eq!((message.text.as_str(), message.flags), ("1", vec![MessageFlag::Relabelled]));
}

#[test]
fn another_message_under_a_used_number_is_reported_and_not_dropped() {
    let (mut world, address) = queued(&["1", "2"]);
    let items = rows(&mut world, address);
    let number = items[0].1.number;
    world.server.device(address).queue.get_mut(&items[1].0).unwrap().number = number;
    world.online(1);
    let messages = world.shown_messages(1);
    assert_eq!(messages.last().unwrap().text, "2");
    assert_eq!(messages.last().unwrap().flags, [MessageFlag::Relabelled]);
    assert!(matches!(&world.warnings(1)[..], [NoticeBody::NumberReused { .. }]));
}

#[test]
fn threat_25_one_poisoned_message_among_a_hundred_stops_nothing() {
    const POISONED: usize = 41;
    let texts: Vec<String> = (0..100).map(|index| index.to_string()).collect();
    let (mut world, address) = queued(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let (row, _) = rows(&mut world, address)[POISONED];
    world.server.device(address).queue.get_mut(&row).unwrap().ciphertext = Bytes::from_static(b"poison");
    // The repair that follows is another test's.
    world.offline(0);
    world.online(1);
    assert_eq!(world.server.device(address).queue.len(), 0, "it is acked like the others");
    for _ in 0..2 {
        let mut expected = texts.clone();
        expected.remove(POISONED);
        expected.insert(0, "hi".to_owned());
        assert_eq!(world.shown(1), expected);
        let failed: Vec<NoticeBody> =
            world.warnings(1).into_iter().filter(|body| matches!(body, NoticeBody::Undecryptable { .. })).collect();
        assert!(
            matches!(
                &failed[..],
                [NoticeBody::Undecryptable { reason: Undecryptable::Malformed, asked_again: true, .. }]
            ),
            "reported once: {failed:?}"
        );
        world.kill(1);
        world.online(1);
    }
}
