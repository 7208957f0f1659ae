//! States that a crash leaves between two steps, made by hand.

use mongodb::bson::{Document, doc};
use sealpost_api::frames::ExpiryReason;
use sealpost_crypto::UnixMillis;
use sealpost_server::store::{AcceptOutcome, CreateAccount, ExpiredRows, QueueItem, Refusal};

use crate::mongodb::support::{Scene, binary, of};
use crate::world::{DAY, NOW, Person, fresh, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_whose_number_was_not_recorded_are_found_by_the_repetition() {
    let scene = Scene::new().await;
    let Scene { store, s, database, .. } = &scene;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 2).await;
    let first = rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    // As if the node had died with one of the two copies written and the number not recorded.
    let unrecorded = doc! { "$set": { "highest": 0_i64, "window": binary(&[0; 128]) } };
    let devices = database.collection::<Document>("devices");
    devices.update_one(of(&alice.devices[0].address), unrecorded.clone()).await.unwrap();
    let queue = database.collection::<Document>("queue");
    let second = doc! { "to": binary(&bob.devices[1].address.to_bytes()[16..]) };
    assert_eq!(queue.delete_one(second).await.unwrap().deleted_count, 1);
    let less = doc! { "$inc": { "messages": -1_i64, "bytes": -5_i64 } };
    devices.update_one(of(&bob.devices[1].address), less).await.unwrap();
    let again = rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    assert_eq!((again[0], again.len()), (first[0], 2), "the copy that was there keeps its row");
    for device in &bob.devices {
        assert_eq!(device.texts(s).await.len(), 1);
    }
    devices.update_one(of(&alice.devices[0].address), unrecorded).await.unwrap();
    let other = alice.devices[0].send(s, 1, &bob, "other").await;
    assert_eq!(other, AcceptOutcome::Refused(Refusal::NumberConflict));
    for device in &bob.devices {
        assert_eq!(device.texts(s).await.iter().map(|(.., text)| text.as_str()).collect::<Vec<_>>(), ["hello"]);
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_was_taken_and_not_used_is_found_by_counting_again() {
    let scene = Scene::new().await;
    let Scene { store, s, database, .. } = &scene;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 1).await;
    rows(alice.devices[0].send(s, 1, &bob, "hello").await);
    let more = doc! { "$inc": { "messages": 7_i64, "bytes": 700_i64 } };
    let devices = database.collection::<Document>("devices");
    devices.update_one(of(&bob.devices[0].address), more).await.unwrap();
    assert_eq!(store.verify().await.unwrap().len(), 1);
    s.expire(UnixMillis(0), NOW, 100).await.unwrap();
    assert_eq!(store.verify().await.unwrap().len(), 1, "not while a message may still be on its way");
    s.expire(UnixMillis(0), NOW.saturating_add(DAY), 100).await.unwrap();
    assert_eq!(store.verify().await.unwrap().len(), 1, "not while room may still be given back");
    s.expire(UnixMillis(0), NOW.saturating_add(2 * DAY), 100).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_for_a_removed_device_is_swept_and_its_sender_told() {
    let scene = Scene::new().await;
    let Scene { store, s, database, .. } = &scene;
    let mut alice = Person::register(s, "alice", 2).await;
    let bob = Person::register(s, "bob", 1).await;
    rows(bob.devices[0].send(s, 1, &alice, "hello").await);
    let gone = alice.devices[1].address;
    let queue = database.collection::<Document>("queue");
    let row = queue.find_one(doc! { "to": binary(&gone.to_bytes()[16..]) }).await.unwrap().unwrap();
    alice.publish(s, vec![alice.devices[0].clone()]).await;
    // Another node had decided on the former list, and writes only now.
    let mut late = row;
    late.insert("number", 2_i64);
    late.insert("row", 2_i64);
    queue.insert_one(late).await.unwrap();
    let more = doc! { "$inc": { "messages": 1_i64, "bytes": 5_i64 } };
    database.collection::<Document>("devices").update_one(of(&gone), more).await.unwrap();
    let swept = s.expire(UnixMillis(0), NOW.saturating_add(1_000), 100).await.unwrap();
    assert_eq!(swept.notified, [bob.devices[0].address]);
    let told: Vec<u64> = bob.devices[0]
        .waiting(s)
        .await
        .into_iter()
        .flat_map(|item| match item {
            QueueItem::Expired { to, numbers, reason: ExpiryReason::DeviceRemoved, .. } if to == gone => numbers,
            other => panic!("{other:?}"),
        })
        .map(|number| number.0)
        .collect();
    assert_eq!(told, [1, 2]);
    s.expire(UnixMillis(0), NOW.saturating_add(DAY), 100).await.unwrap();
    assert_eq!(s.expire(UnixMillis(0), NOW.saturating_add(DAY), 100).await.unwrap(), ExpiredRows::default());
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_finished_by_the_sweep_and_the_name_stays_retired() {
    let scene = Scene::new().await;
    let Scene { s, database, .. } = &scene;
    let alice = Person::register(s, "alice", 1).await;
    let bob = Person::register(s, "bob", 1).await;
    let device = alice.devices[0].address;
    let before = database.collection::<Document>("devices").find_one(of(&device)).await.unwrap().unwrap();
    let keys = database.collection::<Document>("prekeys").find_one(of(&device)).await.unwrap().unwrap();
    s.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().unwrap();
    // As if the node had died right after the account became the note of its erasure.
    let devices = database.collection::<Document>("devices");
    devices.replace_one(of(&device), before).upsert(true).await.unwrap();
    database.collection::<Document>("prekeys").insert_one(keys).await.unwrap();
    s.expire(UnixMillis(0), NOW.saturating_add(1_000), 100).await.unwrap();
    assert_eq!(database.collection::<Document>("prekeys").count_documents(of(&device)).await.unwrap(), 0);
    let late = NOW.saturating_add(40 * DAY);
    s.expire(NOW.saturating_add(10 * DAY), late, 100).await.unwrap();
    let accounts = database.collection::<Document>("accounts");
    assert_eq!(accounts.count_documents(doc! {}).await.unwrap(), 1, "nothing is left of the account");
    assert_eq!(devices.count_documents(of(&device)).await.unwrap(), 0);
    let again = Person::new("alice");
    assert_eq!(s.create_account(again.new_account(), late).await.unwrap(), CreateAccount::NameRetired);
    assert!(s.account(bob.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_that_was_claimed_by_a_registration_that_broke_off_pays_for_its_repetition_alone() {
    let scene = Scene::new().await;
    let Scene { s, database, .. } = &scene;
    let invite = fresh();
    s.add_invite(invite, NOW.saturating_add(DAY), NOW).await.unwrap();
    let with = |person: &Person| {
        let mut account = person.new_account();
        account.invite_hash = Some(invite);
        account
    };
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let claimed = doc! { "$set": { "account": binary(alice.id.as_bytes()) } };
    let invites = database.collection::<Document>("invites");
    invites.update_one(doc! { "_id": binary(&invite) }, claimed).await.unwrap();
    assert_eq!(s.invites(NOW, 10).await.unwrap(), []);
    assert_eq!(s.create_account(with(&bob), NOW).await.unwrap(), CreateAccount::InviteInvalid);
    assert_eq!(s.create_account(with(&alice), NOW).await.unwrap(), CreateAccount::Created);
    assert_eq!(invites.count_documents(doc! {}).await.unwrap(), 0);
}
