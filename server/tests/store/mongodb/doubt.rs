//! What may be counted wrongly, be older than it was, or be there already.

use mongodb::bson::{Document, doc};
use sealpost_api::frames::MissedReason;
use sealpost_crypto::UnixMillis;
use sealpost_server::store::{AcceptOutcome, ExpiredRows, QueueItem, QueueLimits, StoreError};

use crate::mongodb::support::{Scene, any, binary, of, open};
use crate::world::{DAY, LIMITS, NOW, Person, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_misses_thousands_is_told_a_count_and_a_repetition_counts_once() {
    const MISSED: u64 = 1_100;
    let scene = Scene::new().await;
    let s = &scene.s;
    let mut alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 2).await;
    let later = NOW.saturating_add(30 * DAY);
    alice.devices[0].connect(s, later).await;
    s.device_seen(bob.devices[0].address, later).await.unwrap();
    let send = |number: u64| s.accept(alice.devices[0].accept(number, bob.id, vec![bob.devices[0].copy("x")]), later);
    for first in (1..=MISSED).step_by(220) {
        for outcome in futures_util::future::join_all((first..first + 220).map(send)).await {
            assert!(matches!(outcome, Ok(AcceptOutcome::Accepted { .. })), "{outcome:?}");
        }
    }
    // As if the last of them had broken off before their numbers were recorded.
    let unrecorded = doc! { "$set": { "highest": 1_000_i64, "window": binary(&[0xff; 128]) } };
    scene.collection("devices").update_one(of(&alice.devices[0].address), unrecorded).await.unwrap();
    for outcome in futures_util::future::join_all((1_001..=MISSED).map(send)).await {
        assert!(matches!(outcome, Ok(AcceptOutcome::Accepted { .. })), "{outcome:?}");
    }
    let notice = scene.collection("notices").find_one(doc! {}).await.unwrap().unwrap();
    assert!(notice.get_array("recent").unwrap().len() <= 1_024 && notice.get_array("numbers").unwrap().is_empty());
    match bob.devices[1].waiting(s).await.as_slice() {
        [QueueItem::Missed { count, reason: MissedReason::Dormant, .. }] => assert_eq!(*count, MISSED),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_older_than_a_connection_ends_nothing_and_is_not_written_to() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let mut bob = Person::register(s, "bob", 1).await;
    let row = rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    bob.devices[0].connect(s, NOW).await;
    let epoch = |epoch: i64| doc! { "$inc": { "epoch": epoch } };
    let devices = scene.collection("devices");
    for person in [&alice, &bob] {
        devices.update_one(of(&person.devices[0].address), epoch(-1)).await.unwrap();
    }
    let accept = || alice.devices[0].accept(2, bob.id, vec![bob.devices[0].copy("x")]);
    let sent = s.accept(accept(), NOW).await;
    assert!(matches!(sent, Err(StoreError::Unavailable(_))), "{sent:?}");
    let acked = s.acknowledge(bob.devices[0].address, bob.devices[0].epoch, row.clone()).await;
    assert!(matches!(acked, Err(StoreError::Unavailable(_))), "{acked:?}");
    for person in [&alice, &bob] {
        devices.update_one(of(&person.devices[0].address), epoch(1)).await.unwrap();
    }
    assert_eq!(bob.devices[0].ack(s, &row).await, Some(1));
    rows(s.accept(accept(), NOW).await.unwrap());
    devices.update_one(of(&alice.devices[0].address), epoch(1)).await.unwrap();
    let late = alice.devices[0].send(s, 3, &bob, "late").await;
    assert_eq!(late, AcceptOutcome::Refused(sealpost_server::store::Refusal::Superseded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_doubt_is_counted_again_within_minutes() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 1).await;
    rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    // Room that nobody gave back, in a queue that was counted a moment ago.
    let at = i64::try_from(NOW.0).unwrap();
    let leak = |doubt: i64| {
        let set = doc! { "counted_at": at, "recount_at": doubt };
        doc! { "$inc": { "messages": 7_i64, "bytes": 700_i64 }, "$set": set }
    };
    let devices = scene.collection("devices");
    for (doubt, findings) in [(0, 1), (at, 0)] {
        devices.update_one(of(&bob.devices[0].address), leak(doubt)).await.unwrap();
        for minutes in [3, 6] {
            s.expire(UnixMillis(0), NOW.saturating_add(minutes * 60_000), 100).await.unwrap();
        }
        assert_eq!(scene.store.verify().await.unwrap().len(), findings);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_of_the_same_rows_at_once_leave_no_wrong_count_for_long() {
    const ROWS: u64 = 120;
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 1).await;
    let send = |number: u64| {
        let text = "x".repeat(usize::try_from(number).unwrap());
        s.accept(alice.devices[0].accept(number, bob.id, vec![bob.devices[0].copy(&text)]), NOW)
    };
    let sent = futures_util::future::join_all((1..=ROWS).map(send)).await;
    let ids: Vec<_> = sent.into_iter().flat_map(|outcome| rows(outcome.unwrap())).collect();
    // Three nodes ack overlapping parts of what they were given, as while sockets replace each other.
    let nodes = [s.clone(), any(&open(&scene.address, 2).await), any(&open(&scene.address, 3).await)];
    let acks = ids.chunks(12).zip(nodes.iter().cycle()).enumerate().flat_map(|(place, (_, node))| {
        let parts = [&ids[place * 12..], &ids[..(place + 1) * 12]];
        parts.map(|part| bob.devices[0].ack(node, part))
    });
    let gone: u64 = futures_util::future::join_all(acks).await.into_iter().map(Option::unwrap).sum();
    assert_eq!(gone, ROWS, "each row is deleted once");
    for node in &nodes {
        // Each node's doubts are stored, and any node sweeps them.
        node.expire(UnixMillis(0), NOW, 100).await.unwrap();
    }
    for minutes in [3, 6] {
        s.expire(UnixMillis(0), NOW.saturating_add(minutes * 60_000), 100).await.unwrap();
    }
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_finds_the_copy_of_a_device_that_is_full_by_now() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 2).await;
    let first = rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    bob.devices[0].ack(s, &first[..1]).await;
    let unrecorded = doc! { "$set": { "highest": 0_i64, "window": binary(&[0; 128]) } };
    scene.collection("devices").update_one(of(&alice.devices[0].address), unrecorded).await.unwrap();
    let mut again = alice.devices[0].accept(1, bob.id, bob.devices.iter().map(|to| to.copy("hello")).collect());
    again.limits = QueueLimits { messages_max: 1, ..LIMITS };
    match s.accept(again, NOW).await.unwrap() {
        AcceptOutcome::Accepted { rows, skipped } => {
            assert!(skipped.is_empty() && rows.contains(&(bob.devices[1].address, first[1])), "{rows:?} {skipped:?}");
        }
        other => panic!("{other:?}"),
    }
    match bob.devices[1].waiting(s).await.as_slice() {
        [QueueItem::Message { id, .. }] => assert_eq!(*id, first[1]),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_is_taken_already_moves_one_copy_and_leaves_the_others() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 2).await;
    rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    // The counter of the second device's queue is older than its row, as after the database went back.
    let devices = scene.collection("devices");
    devices.update_one(of(&bob.devices[1].address), doc! { "$set": { "next": 0_i64 } }).await.unwrap();
    let queued = rows(alice.devices[0].send(s, 2, &bob, "again").await);
    assert_eq!(queued.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 2], "the first keeps the row that it was given");
    for device in &bob.devices {
        let texts = device.texts(s).await;
        assert_eq!(texts.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    }
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_a_wrong_clock_took_keeps_nobody_from_sweeping() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 1).await;
    rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    let lease = |until: UnixMillis| {
        let until = i64::try_from(until.0).unwrap();
        doc! { "_id": "lease:sweep", "holder": "another", "until": until }
    };
    let meta = scene.collection("meta");
    meta.insert_one(lease(NOW.saturating_add(60_000))).await.unwrap();
    let expire = || s.expire(NOW.saturating_add(1), NOW, 100);
    assert_eq!(expire().await.unwrap(), ExpiredRows::default(), "another node is at it");
    let poisoned = lease(NOW.saturating_add(3_650 * DAY));
    meta.replace_one(doc! { "_id": "lease:sweep" }, poisoned).await.unwrap();
    assert_eq!(expire().await.unwrap().deleted, 1);
    let held: Document = meta.find_one(doc! { "_id": "lease:sweep" }).await.unwrap().unwrap();
    assert_ne!(held.get_str("holder").unwrap(), "another");
}
