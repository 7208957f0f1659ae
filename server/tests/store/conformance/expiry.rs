use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::UnixMillis;
use sealpost_server::store::{ExpiredRows, PublishOutcome, QueueItem};

use crate::world::{DAY, Device, NOW, Person, S, rows};

async fn send_at(store: &S, from: &Device, number: u64, to: &Person, at: UnixMillis) {
    let copies = to.devices.iter().map(|device| device.copy("x")).collect();
    rows(store.accept(from.accept(number, to.id, copies), at).await.unwrap());
}

pub(crate) async fn expired_messages_are_named_to_both_sides(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let carol = Person::register(&store, "carol", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let (from, other, to) = (&alice.devices[0], &carol.devices[0], &bob.devices[0]);
    for number in [1, 2] {
        send_at(&store, from, number, &bob, NOW).await;
    }
    send_at(&store, other, 1, &bob, NOW).await;
    send_at(&store, from, 3, &bob, NOW.saturating_add(DAY)).await;
    let now = NOW.saturating_add(30 * DAY);
    let expired = store.expire(NOW.saturating_add(1), now, 100).await.unwrap();
    assert_eq!(expired.deleted, 3);
    let mut notified = expired.notified;
    notified.sort();
    let mut expected = vec![from.address, other.address, to.address];
    expected.sort();
    assert_eq!(notified, expected);
    match from.waiting(&store).await.as_slice() {
        [QueueItem::Expired { to: recipient, numbers, reason: ExpiryReason::Expired, .. }] => {
            assert_eq!((*recipient, numbers.as_slice()), (to.address, &[1, 2].map(MessageNumber)[..]));
        }
        wrong => panic!("{wrong:?}"),
    }
    let mut counts = Vec::new();
    for item in to.waiting(&store).await {
        if let QueueItem::Missed { from, count, reason: MissedReason::Expired, .. } = item {
            counts.push((from, count));
        }
    }
    counts.sort();
    let mut expected = vec![(from.address, 2), (other.address, 1)];
    expected.sort();
    assert_eq!(counts, expected);
    assert_eq!(to.texts(&store).await.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [3]);
    let record = store.device(to.address).await.unwrap().unwrap();
    assert_eq!((record.queued_messages, record.queued_bytes), (1, 1));
    // Once more changes nothing, and later ones join the notice that nobody has read.
    assert_eq!(store.expire(NOW.saturating_add(1), now, 100).await.unwrap(), ExpiredRows::default());
    assert_eq!(store.expire(NOW.saturating_add(2 * DAY), now, 100).await.unwrap().deleted, 1);
    assert_eq!(from.send(&store, 1, &bob, "x").await, sealpost_server::store::AcceptOutcome::AlreadyAccepted);
}

pub(crate) async fn nothing_expires_early_and_no_more_than_asked(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    for number in 1..=10 {
        send_at(&store, &alice.devices[0], number, &bob, NOW.saturating_add(number)).await;
    }
    let now = NOW.saturating_add(DAY);
    assert_eq!(store.expire(NOW.saturating_add(1), now, 100).await.unwrap(), ExpiredRows::default());
    assert_eq!(store.expire(NOW.saturating_add(6), now, 7).await.unwrap().deleted, 7);
    assert_eq!(store.expire(NOW.saturating_add(6), now, 7).await.unwrap().deleted, 3);
    assert_eq!(store.expire(NOW.saturating_add(6), now, 7).await.unwrap().deleted, 0);
    for device in &bob.devices {
        let left: Vec<_> = device.texts(&store).await.into_iter().map(|(_, number, _)| number).collect();
        assert_eq!(left, [6, 7, 8, 9, 10]);
    }
    let named: usize = alice.devices[0]
        .waiting(&store)
        .await
        .iter()
        .map(|item| match item {
            QueueItem::Expired { numbers, .. } => numbers.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(named, 10);
}

pub(crate) async fn a_message_of_a_removed_device_is_still_shown_and_the_device_then_forgotten(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let gone = alice.devices[1].clone();
    let row = rows(gone.send(&store, 1, &bob, "from a removed device").await);
    let outcome = alice.publish(&store, vec![alice.devices[0].clone()]).await;
    assert!(matches!(outcome, PublishOutcome::Published { .. }));
    let later = NOW.saturating_add(60 * DAY);
    store.expire(UnixMillis(0), later, 100).await.unwrap();
    assert_eq!(bob.devices[0].texts(&store).await, [(gone.address, 1, "from a removed device".to_owned())]);
    bob.devices[0].ack(&store, &row).await;
    store.expire(NOW.saturating_add(30 * DAY), later, 100).await.unwrap();
    // Forgotten: the same registration would begin anew.
    let devices = vec![alice.devices[0].clone(), gone.clone()];
    assert!(matches!(alice.publish(&store, devices).await, PublishOutcome::Published { .. }));
    assert_eq!(store.device(gone.address).await.unwrap().unwrap().highest_number, MessageNumber(0));
}

pub(crate) async fn a_notice_that_nobody_fetches_is_forgotten(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    send_at(&store, &alice.devices[0], 1, &bob, NOW).await;
    store.expire(NOW.saturating_add(1), NOW.saturating_add(30 * DAY), 100).await.unwrap();
    assert_eq!(alice.devices[0].waiting(&store).await.len(), 1);
    let expired = store.expire(NOW.saturating_add(31 * DAY), NOW.saturating_add(61 * DAY), 100).await.unwrap();
    assert_eq!(expired.deleted, 0);
    assert_eq!(alice.devices[0].waiting(&store).await, []);
    assert_eq!(bob.devices[0].waiting(&store).await, []);
}

pub(crate) async fn threat_29_whatever_the_clock_says_messages_come_in_order(store: S) {
    const HOUR: u64 = 3_600_000;
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let far = NOW.saturating_add(40 * DAY);
    let clock = [NOW, NOW.saturating_add(HOUR), NOW.saturating_sub(HOUR), NOW, far, NOW, NOW.saturating_add(1)];
    // Nobody is taken for dormant.
    store.device_seen(bob.devices[0].address, far).await.unwrap();
    for (number, at) in (1..).zip(clock) {
        send_at(&store, &alice.devices[0], number, &bob, at).await;
    }
    let numbers: Vec<_> = bob.devices[0].texts(&store).await.into_iter().map(|(_, number, _)| number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "as they were accepted, not as the clock said");
}

pub(crate) async fn a_clock_that_was_wrong_for_a_while_expires_nothing_early(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    // The clock runs 40 days ahead for one message, and is set right again.
    store.device_seen(bob.devices[0].address, NOW.saturating_add(40 * DAY)).await.unwrap();
    for (number, at) in [(1, NOW), (2, NOW.saturating_add(40 * DAY)), (3, NOW.saturating_add(2))] {
        send_at(&store, &alice.devices[0], number, &bob, at).await;
    }
    let left = async || bob.devices[0].texts(&store).await.into_iter().map(|(_, number, _)| number).collect::<Vec<_>>();
    store.expire(NOW.saturating_add(2), NOW.saturating_add(30 * DAY), 100).await.unwrap();
    assert_eq!(left().await, [2, 3], "what is not due stays");
    let late = NOW.saturating_add(41 * DAY);
    store.expire(late, late.saturating_add(30 * DAY), 100).await.unwrap();
    assert_eq!(left().await, Vec::<u64>::new());
}
