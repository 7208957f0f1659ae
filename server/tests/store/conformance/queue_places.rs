use std::collections::BTreeSet;

use sealpost_api::frames::{Copy, MissedReason, SendKind, SkipReason, Skipped};
use sealpost_crypto::DeviceId;
use sealpost_server::store::{AcceptOutcome, QueueItem, QueueLimits, Refusal};

use crate::world::{DAY, Device, LIMITS, NOW, Person, S, id, rows};

fn mismatch(missing: &[u8], extra: &[u8], stale: &[u8]) -> AcceptOutcome {
    let ids = |ids: &[u8]| ids.iter().map(|device| id(*device)).collect::<Vec<DeviceId>>();
    AcceptOutcome::Refused(Refusal::DevicesMismatch { missing: ids(missing), extra: ids(extra), stale: ids(stale) })
}

/// The counts of missed messages that wait, by reason.
async fn missed(store: &S, device: &Device) -> Vec<(u64, MissedReason)> {
    let items = device.waiting(store).await.into_iter();
    items
        .filter_map(|item| match item {
            QueueItem::Missed { count, reason, .. } => Some((count, reason)),
            _ => None,
        })
        .collect()
}

pub(crate) async fn copies_that_do_not_match_the_list_store_nothing(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 3).await;
    let copy = |device: usize| bob.devices[device - 1].copy("x");
    let stale = |device: u8| Device::new(bob.id, device).copy("x");
    let cases: [(Vec<Copy>, AcceptOutcome); 6] = [
        (vec![], mismatch(&[1, 2, 3], &[], &[])),
        (vec![copy(1), copy(3)], mismatch(&[2], &[], &[])),
        (vec![copy(1), copy(2), copy(3), stale(9)], mismatch(&[], &[9], &[])),
        (vec![copy(1), stale(2), copy(3)], mismatch(&[], &[], &[2])),
        (vec![stale(1), copy(2), stale(127)], mismatch(&[3], &[127], &[1])),
        (vec![alice.devices[0].copy("x")], mismatch(&[2, 3], &[], &[1])),
    ];
    for (copies, expected) in cases {
        let outcome = store.accept(alice.devices[0].accept(1, bob.id, copies), NOW).await.unwrap();
        assert_eq!(outcome, expected);
    }
    for device in &bob.devices {
        assert_eq!(device.waiting(&store).await, []);
    }
    rows(alice.devices[0].send(&store, 1, &bob, "the number is still free").await);
}

pub(crate) async fn a_message_to_the_own_account_reaches_the_other_devices(store: S) {
    let alice = Person::register(&store, "alice", 3).await;
    let sender = &alice.devices[1];
    let others = vec![alice.devices[0].copy("note"), alice.devices[2].copy("note")];
    assert_eq!(rows(store.accept(sender.accept(1, alice.id, others), NOW).await.unwrap()).len(), 2);
    assert_eq!(sender.waiting(&store).await, []);
    assert_eq!(sender.send(&store, 2, &alice, "with a copy for itself").await, mismatch(&[], &[2], &[]));
    let alone = Person::register(&store, "alone", 1).await;
    let nobody = store.accept(alone.devices[0].accept(1, alone.id, vec![]), NOW).await.unwrap();
    assert_eq!(nobody, AcceptOutcome::Accepted { rows: vec![], skipped: vec![] });
}

pub(crate) async fn a_message_for_one_device_needs_exactly_its_copy(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    let to_device = |copies| {
        let mut accept = alice.devices[0].accept(1, bob.id, copies);
        accept.send.kind = SendKind::Device;
        store.accept(accept, NOW)
    };
    let (one, two) = (bob.devices[0].copy("x"), bob.devices[1].copy("x"));
    assert_eq!(to_device(vec![]).await.unwrap(), mismatch(&[], &[], &[]));
    assert_eq!(to_device(vec![one, two.clone()]).await.unwrap(), mismatch(&[], &[2], &[]));
    assert_eq!(to_device(vec![Device::new(bob.id, 2).copy("x")]).await.unwrap(), mismatch(&[], &[], &[2]));
    assert_eq!(to_device(vec![Device::new(bob.id, 3).copy("x")]).await.unwrap(), mismatch(&[], &[3], &[]));
    assert_eq!(rows(to_device(vec![two]).await.unwrap()).len(), 1);
    assert_eq!(bob.devices[0].waiting(&store).await, []);
    assert_eq!(bob.devices[1].texts(&store).await.len(), 1);
}

pub(crate) async fn a_full_device_is_skipped_named_and_told(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    let limits = QueueLimits { messages_max: 2, ..LIMITS };
    let send = |number: u64| {
        let copies = bob.devices.iter().map(|device| device.copy("x")).collect();
        let mut accept = alice.devices[0].accept(number, bob.id, copies);
        accept.limits = limits;
        store.accept(accept, NOW)
    };
    for number in 1..=2 {
        let accepted = rows(send(number).await.unwrap());
        bob.devices[0].ack(&store, &accepted[..1]).await;
    }
    for number in 3..=4 {
        match send(number).await.unwrap() {
            AcceptOutcome::Accepted { rows, skipped } => {
                assert_eq!(rows.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [bob.devices[0].address]);
                assert_eq!(skipped, [Skipped { device: id(2), reason: SkipReason::QueueFull }]);
                bob.devices[0].ack(&store, &[rows[0].1]).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(missed(&store, &bob.devices[1]).await, [(2, MissedReason::QueueFull)]);
    assert_eq!(bob.devices[1].texts(&store).await.len(), 2, "what waited is kept");
    let waiting: Vec<_> = bob.devices[1].waiting(&store).await.iter().map(QueueItem::id).collect();
    assert_eq!(bob.devices[1].ack(&store, &waiting).await, Some(3));
    assert_eq!(rows(send(5).await.unwrap()).len(), 2);
}

pub(crate) async fn a_dormant_device_is_skipped_named_and_told_with_or_without_a_copy(store: S) {
    let mut alice = Person::register(&store, "alice", 1).await;
    let mut bob = Person::register(&store, "bob", 2).await;
    let later = NOW.saturating_add(30 * DAY);
    alice.devices[0].connect(&store, later).await;
    store.device_seen(bob.devices[0].address, later).await.unwrap();
    store.device_seen(bob.devices[0].address, NOW).await.unwrap();
    let with_copy = vec![bob.devices[0].copy("one"), bob.devices[1].copy("one")];
    let without = vec![bob.devices[0].copy("two")];
    for (number, copies) in [(1, with_copy), (2, without.clone())] {
        let outcome = store.accept(alice.devices[0].accept(number, bob.id, copies), later).await.unwrap();
        let AcceptOutcome::Accepted { rows, skipped } = outcome else { panic!("{outcome:?}") };
        assert_eq!((rows.len(), skipped), (1, vec![Skipped { device: id(2), reason: SkipReason::Dormant }]));
    }
    assert_eq!(bob.devices[1].texts(&store).await, []);
    bob.devices[1].connect(&store, later).await;
    assert_eq!(missed(&store, &bob.devices[1]).await, [(2, MissedReason::Dormant)]);
    // It is back: its copy is needed again.
    let outcome = store.accept(alice.devices[0].accept(3, bob.id, without), later).await.unwrap();
    assert_eq!(outcome, mismatch(&[2], &[], &[]));
}

pub(crate) async fn a_message_that_reaches_nobody_stores_nothing_and_uses_no_number(store: S) {
    let mut alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    rows(alice.devices[0].send(&store, 1, &bob, "x").await);
    let later = NOW.saturating_add(30 * DAY);
    alice.devices[0].connect(&store, later).await;
    let copies = || bob.devices.iter().map(|device| device.copy("x")).collect();
    let refusal = |messages_max, sender_messages_max, now| {
        let mut accept = alice.devices[0].accept(2, bob.id, copies());
        accept.limits = QueueLimits { messages_max, sender_messages_max, ..LIMITS };
        let store = store.clone();
        async move {
            match store.accept(accept, now).await.unwrap() {
                AcceptOutcome::Refused(refusal) => refusal,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(refusal(9, 9, later).await, Refusal::Dormant);
    assert_eq!(refusal(1, 9, NOW).await, Refusal::QueueFull);
    assert_eq!(refusal(9, 1, NOW).await, Refusal::QueueShare);
    store.device_seen(bob.devices[0].address, later).await.unwrap();
    assert_eq!(refusal(1, 9, later).await, Refusal::QueueFull, "one full, one dormant");
    assert_eq!(refusal(9, 1, later).await, Refusal::QueueShare, "one used up, one dormant");
    for device in &bob.devices {
        assert_eq!(device.waiting(&store).await.len(), 1, "no notice either");
    }
    rows(alice.devices[0].send(&store, 2, &bob, "the number is still free").await);
}

pub(crate) async fn a_sender_account_has_a_share_of_a_queue(store: S) {
    let flood = Person::register(&store, "flood", 2).await;
    let friend = Person::register(&store, "friend", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let send = |from: &Device, number: u64| {
        let mut accept = from.accept(number, bob.id, vec![bob.devices[0].copy("x")]);
        accept.limits = QueueLimits { sender_messages_max: 3, ..LIMITS };
        store.accept(accept, NOW)
    };
    let first = rows(send(&flood.devices[0], 1).await.unwrap());
    rows(send(&flood.devices[1], 1).await.unwrap());
    rows(send(&flood.devices[0], 2).await.unwrap());
    for (device, number) in [(&flood.devices[0], 3), (&flood.devices[1], 2)] {
        let outcome = send(device, number).await.unwrap();
        assert_eq!(outcome, AcceptOutcome::Refused(Refusal::QueueShare), "an account's devices share one share");
    }
    rows(send(&friend.devices[0], 1).await.unwrap());
    bob.devices[0].ack(&store, &first).await;
    rows(send(&flood.devices[1], 2).await.unwrap());
    assert_eq!(send(&flood.devices[0], 3).await.unwrap(), AcceptOutcome::Refused(Refusal::QueueShare));
}

pub(crate) async fn the_byte_quota_counts_what_waits(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let carol = Person::register(&store, "carol", 1).await;
    let send = |from: &Person, number: u64, bytes: usize| {
        let mut accept = from.devices[0].accept(number, bob.id, vec![bob.devices[0].copy(&"x".repeat(bytes))]);
        accept.limits = QueueLimits { bytes_max: 10_000, ..LIMITS };
        store.accept(accept, NOW)
    };
    let first = rows(send(&alice, 1, 6_000).await.unwrap());
    assert_eq!(send(&carol, 1, 4_001).await.unwrap(), AcceptOutcome::Refused(Refusal::QueueFull));
    rows(send(&carol, 1, 4_000).await.unwrap());
    assert_eq!(send(&carol, 2, 1).await.unwrap(), AcceptOutcome::Refused(Refusal::QueueFull));
    bob.devices[0].ack(&store, &first).await;
    rows(send(&alice, 2, 6_000).await.unwrap());
}

pub(crate) async fn the_last_quarter_of_a_queue_is_for_those_with_little_in_it(store: S) {
    let flood = Person::register(&store, "flood", 2).await;
    let friend = Person::register(&store, "friend", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let share = AcceptOutcome::Refused(Refusal::QueueShare);
    for (limits, bytes) in
        [(QueueLimits { messages_max: 8, ..LIMITS }, 1), (QueueLimits { bytes_max: 8_000, ..LIMITS }, 1_000)]
    {
        let number = if bytes == 1 { 0 } else { 100 };
        let send = |from: &Device, number: u64| {
            let mut accept = from.accept(number, bob.id, vec![bob.devices[0].copy(&"x".repeat(bytes))]);
            accept.limits = limits;
            store.accept(accept, NOW)
        };
        let mut taken = Vec::new();
        for number in number + 1..=number + 6 {
            taken.extend(rows(send(&flood.devices[0], number).await.unwrap()));
        }
        for device in &flood.devices {
            assert_eq!(send(device, number + 7).await.unwrap(), share, "an account's devices share one share");
        }
        taken.extend(rows(send(&friend.devices[0], number + 1).await.unwrap()));
        assert_eq!(send(&friend.devices[0], number + 2).await.unwrap(), share);
        // What is read makes room, for the flood too.
        bob.devices[0].ack(&store, &taken[..2]).await;
        taken.extend(rows(send(&flood.devices[1], number + 8).await.unwrap()));
        bob.devices[0].ack(&store, &taken).await;
    }
}

pub(crate) async fn a_notice_that_was_read_does_not_change_under_its_ack(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    let limits = QueueLimits { messages_max: 1, ..LIMITS };
    let send = |number: u64| {
        let mut accept =
            alice.devices[0].accept(number, bob.id, bob.devices.iter().map(|device| device.copy("x")).collect());
        accept.limits = limits;
        let (store, first) = (store.clone(), bob.devices[0].clone());
        async move {
            let accepted = rows(store.accept(accept, NOW).await.unwrap());
            first.ack(&store, &accepted[..1]).await;
        }
    };
    for number in 1..=3 {
        send(number).await;
    }
    let device = &bob.devices[1];
    let notices = async || {
        let items = device.waiting(&store).await.into_iter();
        items.filter(|item| matches!(item, QueueItem::Missed { .. })).map(|item| item.id()).collect::<Vec<_>>()
    };
    let read = notices().await;
    assert_eq!((read.len(), missed(&store, device).await), (1, vec![(2, MissedReason::QueueFull)]));
    send(4).await;
    assert_eq!(device.ack(&store, &read).await, Some(1));
    assert_eq!(missed(&store, device).await, [(1, MissedReason::QueueFull)], "what came after the reading is told too");
    assert_eq!(device.ack(&store, &notices().await).await, Some(1));
    assert_eq!(missed(&store, device).await, []);
}

pub(crate) async fn notices_come_within_the_limits_and_each_once(store: S) {
    let bob = Person::register(&store, "bob", 2).await;
    let later = NOW.saturating_add(30 * DAY);
    store.device_seen(bob.devices[0].address, later).await.unwrap();
    for sender in 0..5 {
        let mut sender = Person::register(&store, &format!("sender{sender}"), 1).await;
        sender.devices[0].connect(&store, later).await;
        for number in 1..=3 {
            let accept = sender.devices[0].accept(number, bob.id, vec![bob.devices[0].copy("x")]);
            assert!(matches!(store.accept(accept, later).await.unwrap(), AcceptOutcome::Accepted { .. }));
        }
    }
    let device = &bob.devices[1];
    let mut delivered = BTreeSet::new();
    for expected in [2, 2, 1, 0] {
        let items = store.undelivered(device.address, &delivered, 2, usize::MAX).await.unwrap();
        assert_eq!(items.len(), expected);
        for item in items {
            assert!(matches!(item, QueueItem::Missed { count: 3, .. }), "{item:?}");
            assert!(delivered.insert(item.id()));
        }
    }
    // One row always fits, whatever its size.
    assert_eq!(store.undelivered(device.address, &BTreeSet::new(), 9, 1).await.unwrap().len(), 1);
    let ids: Vec<_> = delivered.into_iter().collect();
    assert_eq!(device.ack(&store, &ids).await, Some(5));
    assert_eq!(device.waiting(&store).await, []);
}
