use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId};
use sealpost_api::limits::NUMBER_WINDOW;
use sealpost_server::store::{AcceptOutcome, OpenConnection, QueueItem, Refusal};

use crate::world::{Device, NOW, Person, S, rows, size};

fn refused(refusal: Refusal) -> AcceptOutcome {
    AcceptOutcome::Refused(refusal)
}

pub(crate) async fn an_accepted_message_waits_until_it_is_acked(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    let accepted = rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    assert_eq!(accepted.len(), 2);
    for (device, row) in bob.devices.iter().zip(&accepted) {
        let expected = QueueItem::Message {
            id: *row,
            from: alice.devices[0].address,
            number: MessageNumber(1),
            accepted_at: NOW,
            ciphertext: "hello".into(),
        };
        assert_eq!(device.waiting(&store).await, std::slice::from_ref(&expected));
        assert_eq!(device.waiting(&store).await, [expected], "reading deletes nothing");
        let record = store.device(device.address).await.unwrap().unwrap();
        assert_eq!((record.queued_messages, record.queued_bytes), (1, 5));
    }
    assert_eq!(bob.devices[0].ack(&store, &accepted[..1]).await, Some(1));
    assert_eq!(bob.devices[0].waiting(&store).await, []);
    assert_eq!(bob.devices[0].ack(&store, &accepted[..1]).await, Some(0));
    assert_eq!(bob.devices[1].waiting(&store).await.len(), 1, "each device acks for itself");
    let record = store.device(bob.devices[0].address).await.unwrap().unwrap();
    assert_eq!((record.queued_messages, record.queued_bytes), (0, 0));
    let sender = store.device(alice.devices[0].address).await.unwrap().unwrap();
    assert_eq!(sender.highest_number, MessageNumber(1));
}

pub(crate) async fn a_number_again_is_answered_and_stores_nothing(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let accepted = rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    assert_eq!(alice.devices[0].send(&store, 1, &bob, "hello").await, AcceptOutcome::AlreadyAccepted);
    assert_eq!(bob.devices[0].texts(&store).await.len(), 1);
    bob.devices[0].ack(&store, &accepted).await;
    assert_eq!(alice.devices[0].send(&store, 1, &bob, "hello").await, AcceptOutcome::AlreadyAccepted);
    assert_eq!(bob.devices[0].waiting(&store).await, []);
}

pub(crate) async fn a_number_again_on_a_new_connection_is_answered_and_stores_nothing(store: S) {
    let mut alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    alice.devices[0].connect(&store, NOW).await;
    assert_eq!(alice.devices[0].send(&store, 1, &bob, "hello").await, AcceptOutcome::AlreadyAccepted);
    assert_eq!(bob.devices[0].texts(&store).await.len(), 1);
    // It is answered as before although the list has changed since.
    let mut bob = bob;
    bob.add_device(&store, 2).await;
    let old_copies = vec![bob.devices[0].copy("hello")];
    let again = store.accept(alice.devices[0].accept(1, bob.id, old_copies), NOW).await.unwrap();
    assert_eq!(again, AcceptOutcome::AlreadyAccepted);
}

/// Whether an answer, or an ack's, is lost on its way.
fn lost(random: &mut StdRng) -> bool {
    random.random_bool(0.3)
}

pub(crate) async fn threat_16_when_answers_are_lost_each_message_is_queued_once(store: S) {
    // `SEALPOST_LOST_ANSWER_SENDS=100000` is the long form.
    let sends = size("SEALPOST_LOST_ANSWER_SENDS", 1_000) as u64;
    let random = &mut StdRng::seed_from_u64(16);
    let mut alice = Person::register(&store, "alice", 1).await;
    let mut bob = Person::register(&store, "bob", 1).await;
    // The rows under which each number was seen: a second one would be shown a second time.
    let mut seen = BTreeMap::<u64, BTreeSet<RowId>>::new();
    for number in 1..=sends {
        loop {
            let answer = alice.devices[0].send(&store, number, &bob, &number.to_string()).await;
            assert!(matches!(answer, AcceptOutcome::Accepted { .. } | AcceptOutcome::AlreadyAccepted), "{answer:?}");
            for item in bob.devices[0].waiting(&store).await {
                let QueueItem::Message { id, number, .. } = item else { panic!("{item:?}") };
                seen.entry(number.0).or_default().insert(id);
                bob.devices[0].ack(&store, &[id]).await.unwrap();
                if lost(random) {
                    bob.devices[0].connect(&store, NOW).await;
                    assert_eq!(bob.devices[0].ack(&store, &[id]).await, Some(0));
                }
            }
            if !lost(random) {
                break;
            }
            alice.devices[0].connect(&store, NOW).await;
        }
    }
    let doubled: Vec<_> = seen.iter().filter(|(_, rows)| rows.len() != 1).collect();
    assert!(doubled.is_empty(), "queued more than once: {doubled:?}");
    assert!(seen.keys().copied().eq(1..=sends));
}

pub(crate) async fn a_number_with_other_bytes_is_a_conflict(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    assert_eq!(alice.devices[0].send(&store, 1, &bob, "other").await, refused(Refusal::NumberConflict));
    let one_differs = vec![bob.devices[0].copy("hello"), bob.devices[1].copy("other")];
    let outcome = store.accept(alice.devices[0].accept(1, bob.id, one_differs), NOW).await.unwrap();
    assert_eq!(outcome, refused(Refusal::NumberConflict));
    for device in &bob.devices {
        assert_eq!(device.texts(&store).await, [(alice.devices[0].address, 1, "hello".to_owned())]);
    }
}

pub(crate) async fn numbers_may_come_in_any_order_and_the_window_forgets_the_oldest(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let device = &alice.devices[0];
    for number in [5, 3, 1, NUMBER_WINDOW, 2] {
        rows(device.send(&store, number, &bob, "x").await);
    }
    rows(device.send(&store, NUMBER_WINDOW + 2, &bob, "x").await);
    for too_old in [0, 1, 2] {
        let outcome = device.send(&store, too_old, &bob, "x").await;
        assert_eq!(outcome, refused(Refusal::NumberTooOld), "{too_old}");
    }
    for seen in [3, 5, NUMBER_WINDOW, NUMBER_WINDOW + 2] {
        assert_eq!(device.send(&store, seen, &bob, "x").await, AcceptOutcome::AlreadyAccepted, "{seen}");
    }
    rows(device.send(&store, 4, &bob, "x").await);
    rows(device.send(&store, u64::MAX, &bob, "x").await);
    assert_eq!(device.send(&store, u64::MAX, &bob, "x").await, AcceptOutcome::AlreadyAccepted);
    let record = store.device(device.address).await.unwrap().unwrap();
    assert_eq!(record.highest_number, MessageNumber(u64::MAX));
    let numbers: Vec<_> = bob.devices[0].texts(&store).await.into_iter().map(|(_, number, _)| number).collect();
    assert_eq!(numbers, [5, 3, 1, NUMBER_WINDOW, 2, NUMBER_WINDOW + 2, 4, u64::MAX]);
}

pub(crate) async fn only_the_newest_connection_may_send_and_ack(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let mut bob = Person::register(&store, "bob", 1).await;
    let row = rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    let former = bob.devices[0].clone();
    let opened = store.open_connection(former.address, former.session, 1, NOW).await.unwrap();
    match opened {
        OpenConnection::Opened { epoch, pending, highest_number, .. } => {
            assert_eq!((epoch, pending, highest_number), (ConnectionEpoch(former.epoch.0 + 1), 1, MessageNumber(0)));
            bob.devices[0].epoch = epoch;
        }
        OpenConnection::Refused => panic!("refused"),
    }
    assert_eq!(former.ack(&store, &row).await, None);
    assert_eq!(former.send(&store, 1, &alice, "late").await, refused(Refusal::Superseded));
    assert_eq!(alice.devices[0].waiting(&store).await, []);
    assert_eq!(bob.devices[0].waiting(&store).await.len(), 1);
    assert_eq!(bob.devices[0].ack(&store, &row).await, Some(1));
    rows(bob.devices[0].send(&store, 1, &alice, "current").await);
}

pub(crate) async fn an_ack_reaches_only_rows_of_its_own_device(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 2).await;
    let eve = Person::register(&store, "eve", 1).await;
    let accepted = rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    let anything: Vec<RowId> = (0..200)
        .map(RowId)
        .chain(accepted.iter().copied())
        .chain([1 << 34, 1 << 62, 1 << 63, u64::MAX].map(RowId))
        .collect();
    for other in [&eve.devices[0], &alice.devices[0]] {
        assert_eq!(other.ack(&store, &anything).await, Some(0));
    }
    for device in &bob.devices {
        assert_eq!(device.texts(&store).await.len(), 1);
    }
    assert_eq!(bob.devices[0].ack(&store, &anything).await, Some(1));
    assert_eq!(bob.devices[1].texts(&store).await.len(), 1);
    let stranger = Device { epoch: bob.devices[1].epoch, ..Device::new(bob.id, 2) };
    assert_eq!(stranger.ack(&store, &anything).await, None);
    assert_eq!(bob.devices[1].texts(&store).await.len(), 1);
}

pub(crate) async fn undelivered_rows_come_oldest_first_within_the_limits(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let mut ids = Vec::new();
    for number in 1..=10 {
        ids.extend(rows(alice.devices[0].send(&store, number, &bob, &"x".repeat(1_000)).await));
    }
    let address = bob.devices[0].address;
    let read = async |delivered: &BTreeSet<RowId>, rows, bytes| {
        let items = store.undelivered(address, delivered, rows, bytes).await.unwrap();
        items.iter().map(QueueItem::id).collect::<Vec<_>>()
    };
    let none = BTreeSet::new();
    assert_eq!(read(&none, 4, usize::MAX).await, ids[..4]);
    assert_eq!(read(&none, 0, usize::MAX).await, []);
    assert_eq!(read(&none, 100, 3_500).await, ids[..3], "a row counts 1,128 bytes");
    assert_eq!(read(&none, 100, 1).await, ids[..1], "one row always fits");
    // Not "greater than the last seen": a hole is filled first.
    let delivered: BTreeSet<_> = ids.iter().copied().filter(|id| *id != ids[2]).take(5).collect();
    assert_eq!(read(&delivered, 2, usize::MAX).await, [ids[2], ids[6]]);
    assert_eq!(read(&ids.iter().copied().collect(), 100, usize::MAX).await, []);
}

pub(crate) async fn many_senders_at_once_lose_and_double_nothing(store: S) {
    const SENDERS: usize = 16;
    const EACH: u64 = 60;
    let bob = std::sync::Arc::new(Person::register(&store, "bob", 2).await);
    let mut tasks = Vec::new();
    for sender in 0..SENDERS {
        let person = Person::register(&store, &format!("sender{sender}"), 1).await;
        let (store, bob) = (store.clone(), bob.clone());
        tasks.push(tokio::spawn(async move {
            let device = &person.devices[0];
            for number in 1..=EACH {
                // Every message is sent twice at once, as after a lost reply.
                let text = format!("{sender} {number}");
                let both =
                    tokio::join!(device.send(&store, number, &bob, &text), device.send(&store, number, &bob, &text));
                assert!(
                    matches!(
                        both,
                        (AcceptOutcome::Accepted { .. }, AcceptOutcome::AlreadyAccepted)
                            | (AcceptOutcome::AlreadyAccepted, AcceptOutcome::Accepted { .. })
                    ),
                    "{both:?}"
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for device in &bob.devices {
        let mut numbers: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for (from, number, _) in device.texts(&store).await {
            numbers.entry(from).or_default().push(number);
        }
        assert_eq!(numbers.len(), SENDERS);
        assert!(numbers.values().all(|numbers| numbers.iter().copied().eq(1..=EACH)), "once each and in order");
    }
}

pub(crate) async fn the_rate_is_looked_at_after_the_window(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    let mut again = alice.devices[0].accept(1, bob.id, vec![bob.devices[0].copy("hello")]);
    again.rate = Err(700);
    assert_eq!(store.accept(again.clone(), NOW).await.unwrap(), AcceptOutcome::AlreadyAccepted);
    again.send.number = MessageNumber(2);
    assert_eq!(store.accept(again.clone(), NOW).await.unwrap(), refused(Refusal::RateLimited(700)));
    assert_eq!(bob.devices[0].texts(&store).await.len(), 1);
    again.rate = Ok(());
    rows(store.accept(again, NOW).await.unwrap());
}

pub(crate) async fn a_sender_outside_of_every_list_is_refused(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let stranger = Device::new(alice.id, 1);
    assert_eq!(stranger.send(&store, 1, &bob, "hello").await, refused(Refusal::RecipientUnknown));
    let nobody = Person::new("nobody");
    assert_eq!(alice.devices[0].send(&store, 1, &nobody, "hello").await, refused(Refusal::RecipientUnknown));
    rows(alice.devices[0].send(&store, 1, &bob, "the number is still free").await);
}
