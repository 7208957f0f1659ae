//! Devices that leave their list, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use sealpost_crypto::UnixMillis;
use sealpost_server::store::{CreateAccount, PublishList, PublishOutcome, StoreError};

use crate::mongodb::support::{Scene, any, binary, open};
use crate::world::{DAY, NOW, Person, S, fresh, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_does_not_return_while_another_node_cleans_up_after_it() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let mut alice = Person::register(s, "alice", 2).await;
    let back = alice.devices[1].clone();
    alice.publish(s, vec![alice.devices[0].clone()]).await;
    let account = doc! { "_id": binary(alice.id.as_bytes()) };
    let claim = |until: UnixMillis| {
        let until = i64::try_from(until.0).unwrap();
        doc! { "$set": { "removing.0.cleaning": { "by": ObjectId::new(), "until": until } }, "$inc": { "rev": 1_i64 } }
    };
    let accounts = scene.collection("accounts");
    accounts.update_one(account.clone(), claim(NOW.saturating_add(60_000))).await.unwrap();
    let list = alice.next_list(&[alice.devices[0].clone(), back.clone()]);
    let publish = PublishList { device_list: list, added: vec![back.keys()], log_in: None };
    assert_eq!(s.publish_device_list(publish.clone(), NOW).await, Err(StoreError::Busy));
    assert_eq!(s.account(alice.id).await.unwrap().unwrap().device_list_version, 3, "nothing was changed");
    // Nor does the sweep begin what is being done.
    s.expire(UnixMillis(0), NOW, 100).await.unwrap();
    let claimed = accounts.find_one(account.clone()).await.unwrap().unwrap();
    let entry = claimed.get_array("removing").unwrap()[0].as_document().unwrap().clone();
    assert!(entry.get_document("cleaning").is_ok());
    // The node that was cleaning up has died.
    accounts.update_one(account, claim(NOW)).await.unwrap();
    let published = s.publish_device_list(publish, NOW).await.unwrap();
    assert!(matches!(published, PublishOutcome::Published { .. }), "{published:?}");
    let bundle = s.take_bundle(alice.id, back.address.device, true, NOW).await.unwrap().unwrap();
    assert!(bundle.signed_prekey.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registration_gets_after_it_returned_stays_while_other_nodes_sweep() {
    let scene = Scene::new().await;
    let (s, other) = (&scene.s, any(&open(&scene.address, 2).await));
    let mut alice = Person::register(s, "alice", 2).await;
    let bob = Person::register(s, "bob", 1).await;
    let returning = alice.devices[1].clone();
    let stop = Arc::new(AtomicBool::new(false));
    let sweeping = tokio::spawn({
        let (other, stop) = (other.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                other.expire(UnixMillis(0), NOW, 100).await.unwrap();
            }
        }
    });
    for round in 1..=12 {
        rows(bob.devices[0].send(s, 2 * round - 1, &alice, "before").await);
        alice.publish(s, vec![alice.devices[0].clone()]).await;
        let devices = vec![alice.devices[0].clone(), returning.clone()];
        loop {
            let list = alice.next_list(&devices);
            let publish = PublishList { device_list: list.clone(), added: vec![returning.keys()], log_in: None };
            match s.publish_device_list(publish, NOW).await {
                Ok(PublishOutcome::Published { .. }) => {
                    (alice.list, alice.devices) = (list, devices);
                    break;
                }
                Err(StoreError::Busy) => {}
                other => panic!("{other:?}"),
            }
        }
        let text = format!("after {round}");
        let row = rows(bob.devices[0].send(s, 2 * round, &alice, &text).await);
        assert_eq!(row.len(), 2);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        let texts: Vec<_> = returning.texts(s).await.into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(texts, [text]);
        let bundle = s.take_bundle(alice.id, returning.address.device, true, NOW).await.unwrap().unwrap();
        assert!(bundle.signed_prekey.is_some(), "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    sweeping.await.unwrap();
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}

/// Accounts of which only devices that left a list, or nothing, is left to forget.
async fn fill(scene: &Scene, count: u32, removing: Bson) {
    let accounts = scene.collection("accounts");
    let template = accounts.find_one(doc! { "username": "alice" }).await.unwrap().unwrap();
    let made = (0..count).map(|number| {
        let id = binary(&fresh::<16>());
        let mut account: Document = template.clone();
        account.insert("_id", &id);
        account.insert("username", format!("#{number:05}"));
        account.insert("name_hash", binary(&fresh::<32>()));
        account.insert("ids", vec![id]);
        account.insert("removing", removing.clone());
        account.insert("sessions", Bson::Array(vec![]));
        account.insert("erased_at", 1_i64);
        account
    });
    accounts.insert_many(made).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_devices_that_are_done_with_do_not_hide_one_that_is_not() {
    let scene = Scene::new().await;
    let s = &scene.s;
    let mut alice = Person::register(s, "alice", 2).await;
    let at = i64::try_from(NOW.0).unwrap();
    let done = doc! { "device": 5, "registration": binary(&[1; 32]), "reason": 2, "at": at, "done": true };
    fill(&scene, 1_000, Bson::Array(vec![done.into()])).await;
    alice.publish(s, vec![alice.devices[0].clone()]).await;
    s.expire(UnixMillis(0), NOW.saturating_add(DAY), 100).await.unwrap();
    let open = doc! { "removing.done": false };
    assert_eq!(scene.collection("accounts").count_documents(open).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_account_with_nothing_left_to_clean_is_forgotten() {
    let scene = Scene::new().await;
    Person::register(&scene.s, "alice", 1).await;
    // As if the node had died before the last step.
    fill(&scene, 3, Bson::Array(vec![])).await;
    scene.s.expire(UnixMillis(0), NOW, 100).await.unwrap();
    assert_eq!(scene.collection("accounts").count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(scene.collection("retired_names").count_documents(doc! {}).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_pays_for_one_account_however_often_its_registration_is_repeated() {
    let scene = Scene::new().await;
    let nodes: [S; 3] = [scene.s.clone(), any(&open(&scene.address, 2).await), any(&open(&scene.address, 3).await)];
    for round in 0..12 {
        let invite = fresh();
        nodes[0].add_invite(invite, NOW.saturating_add(DAY), NOW).await.unwrap();
        let with = |name: &str| {
            let person = Person::new(name);
            let mut account = person.new_account();
            account.invite_hash = Some(invite);
            account
        };
        let (alice, bob) = (with(&format!("alice{round}")), with(&format!("bob{round}")));
        let tries = [&alice, &alice, &bob, &alice, &bob, &alice].into_iter().zip(nodes.iter().cycle());
        let outcomes =
            futures_util::future::join_all(tries.map(|(account, node)| node.create_account(account.clone(), NOW)));
        let outcomes: Vec<_> = outcomes.await.into_iter().map(Result::unwrap).collect();
        let created = outcomes.iter().filter(|outcome| **outcome == CreateAccount::Created).count();
        assert_eq!(created, 1, "{outcomes:?}");
        let late = nodes[1].create_account(with("late"), NOW).await.unwrap();
        assert_eq!(late, CreateAccount::InviteInvalid);
    }
    assert_eq!(scene.store.verify().await.unwrap(), Vec::<String>::new());
}
