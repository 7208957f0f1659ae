//! What goes wrong with one message, or after the step that counts.

use mongodb::bson::doc;
use sealpost_api::frames::ExpiryReason;
use sealpost_crypto::UnixMillis;
use sealpost_server::store::{AcceptOutcome, PublishOutcome, QueueItem, StoreError};

use crate::mongodb::support::{Scene, binary, of};
use crate::world::{DAY, NOW, Person, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_cannot_be_true_fails_its_own_messages_alone() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let bob = Person::register(s, "bob", 1).await;
    let mut senders = Vec::new();
    for sender in 0..24 {
        senders.push(Person::register(s, &format!("sender{sender}"), 1).await);
    }
    // One with a window of another length, and one whose list names no device that could be.
    let short = doc! { "$set": { "window": binary(&[0; 3]) } };
    scene.collection("devices").update_one(of(&senders[7].devices[0].address), short).await.unwrap();
    let impossible = doc! { "$set": { "devices.0.id": 4_000 } };
    let account = doc! { "_id": binary(senders[11].id.as_bytes()) };
    scene.collection("accounts").update_one(account, impossible).await.unwrap();
    let sends =
        senders.iter().map(|sender| s.accept(sender.devices[0].accept(1, bob.id, vec![bob.devices[0].copy("x")]), NOW));
    for (sender, outcome) in futures_util::future::join_all(sends).await.into_iter().enumerate() {
        match sender {
            7 | 11 => assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{sender}: {outcome:?}"),
            _ => assert!(matches!(outcome, Ok(AcceptOutcome::Accepted { .. })), "{sender}: {outcome:?}"),
        }
    }
    assert_eq!(bob.devices[0].texts(s).await.len(), 22);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_breaks_off_half_written_is_unknown_and_the_others_of_its_batch_are_accepted() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let mut alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 2).await;
    let carol = Person::register(s, "carol", 1).await;
    let later = NOW.saturating_add(30 * DAY);
    alice.devices[0].connect(s, later).await;
    for device in [&bob.devices[0], &carol.devices[0]] {
        s.device_seen(device.address, later).await.unwrap();
    }
    let device = &alice.devices[0];
    let to_bob = || s.accept(device.accept(1, bob.id, vec![bob.devices[0].copy("x")]), later);
    let to_carol = s.accept(device.accept(2, carol.id, vec![carol.devices[0].copy("x")]), later);
    // Bob's other device is dormant, and cannot be told.
    scene.refuse("notices", true).await;
    let (first, second) = tokio::join!(to_bob(), to_carol);
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "the copy is there: {first:?}");
    assert!(matches!(second, Ok(AcceptOutcome::Accepted { .. })), "{second:?}");
    assert_eq!(bob.devices[0].texts(s).await.len(), 1);
    scene.refuse("notices", false).await;
    assert_eq!(rows(to_bob().await.unwrap()).len(), 1);
    assert_eq!(bob.devices[0].texts(s).await.len(), 1, "not doubled");
    assert_eq!(bob.devices[1].waiting(s).await.len(), 1);
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_current_is_published_and_an_account_that_is_gone_is_erased_whatever_becomes_of_the_rest() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let mut alice = Person::register(s, "alice", 2).await;
    let bob = Person::register(s, "bob", 1).await;
    rows(bob.devices[0].send(s, 1, &alice, "hello").await);
    let gone = [alice.devices[1].address, alice.devices[0].address];
    scene.refuse("notices", true).await;
    match alice.publish(s, vec![alice.devices[0].clone()]).await {
        PublishOutcome::Published { removed, .. } => assert_eq!(removed, gone[..1]),
        other => panic!("{other:?}"),
    }
    assert!(s.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().is_some());
    assert!(s.account(alice.id).await.unwrap().is_none());
    scene.refuse("notices", false).await;
    let swept = s.expire(UnixMillis(0), NOW.saturating_add(DAY), 100).await.unwrap();
    assert_eq!(swept.notified, [bob.devices[0].address]);
    let mut told = Vec::new();
    for item in bob.devices[0].waiting(s).await {
        match item {
            QueueItem::Expired { to, reason, .. } => told.push((to, reason)),
            other => panic!("{other:?}"),
        }
    }
    told.sort_by_key(|(to, _)| to.device);
    assert_eq!(told, [(gone[1], ExpiryReason::AccountDeleted), (gone[0], ExpiryReason::DeviceRemoved)]);
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}
