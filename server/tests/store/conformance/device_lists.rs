use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::{ConnectionEpoch, MessageNumber};
use sealpost_crypto::{AccountIdentityKeyPair, UnixMillis};
use sealpost_server::store::{
    AcceptOutcome, OpenConnection, PublishList, PublishOutcome, QueueItem, Refusal, StartSession,
};

use crate::world::{Device, NOW, Person, S, fresh, rows, sign};

fn publish(list: &sealpost_crypto::DeviceList) -> PublishList {
    PublishList { device_list: list.clone(), added: vec![], log_in: None }
}

pub(crate) async fn a_list_follows_only_the_current_one(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let same_devices = alice.next_list(&alice.devices);
    let wrong_hash = sign(&alice.keys, alice.id, 2, [9; 32], false, &alice.devices);
    let wrong_version = sign(&alice.keys, alice.id, 3, alice.list.hash(), false, &alice.devices);
    for wrong in [&wrong_hash, &wrong_version] {
        assert_eq!(store.publish_device_list(publish(wrong), NOW).await.unwrap(), PublishOutcome::Conflict);
    }
    assert_eq!(store.account(alice.id).await.unwrap().unwrap().device_list_version, 1);
    let published = store.publish_device_list(publish(&same_devices), NOW).await.unwrap();
    assert!(matches!(published, PublishOutcome::Published { ref removed, .. } if removed.is_empty()), "{published:?}");
    let again = store.publish_device_list(publish(&same_devices), NOW).await.unwrap();
    assert_eq!(again, PublishOutcome::AlreadyCurrent);
    let former = store.publish_device_list(publish(&alice.list), NOW).await.unwrap();
    assert_eq!(former, PublishOutcome::Conflict);
    let nobody = Person::new("nobody");
    let unknown = store.publish_device_list(publish(&nobody.list), NOW).await.unwrap();
    assert_eq!(unknown, PublishOutcome::UnknownAccount);
}

pub(crate) async fn of_concurrent_successors_one_becomes_current(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let lists: Vec<_> = (0..32)
        .map(|_| {
            let devices = [alice.devices[0].clone(), Device::new(alice.id, 2)];
            (alice.next_list(&devices), devices[1].keys())
        })
        .collect();
    let tasks: Vec<_> = lists
        .iter()
        .map(|(list, keys)| {
            let publish = PublishList { device_list: list.clone(), added: vec![keys.clone()], log_in: None };
            let store = store.clone();
            tokio::spawn(async move { store.publish_device_list(publish, NOW).await.unwrap() })
        })
        .collect();
    let mut published = Vec::new();
    for ((list, _), task) in lists.iter().zip(tasks) {
        match task.await.unwrap() {
            PublishOutcome::Published { .. } => published.push(list),
            other => assert_eq!(other, PublishOutcome::Conflict),
        }
    }
    assert_eq!(published.len(), 1);
    let record = store.account(alice.id).await.unwrap().unwrap();
    assert_eq!((record.device_list_version, record.device_list.0.as_slice()), (2, published[0].encoded()));
    let devices = store.devices(alice.id).await.unwrap().unwrap();
    assert!(devices.iter().all(|device| published[0].contains(&device.address)));
}

pub(crate) async fn a_removed_device_loses_session_prekeys_and_queue_and_senders_are_told(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    for number in 1..=3 {
        rows(bob.devices[0].send(&store, number, &alice, "hello").await);
    }
    let gone = alice.devices[1].clone();
    let outcome = alice.publish(&store, vec![alice.devices[0].clone()]).await;
    let expected = PublishOutcome::Published {
        removed: vec![gone.address],
        ended_sessions: vec![gone.session],
        notified: vec![bob.devices[0].address],
    };
    assert_eq!(outcome, expected);
    assert_eq!(store.device(gone.address).await.unwrap(), None);
    assert_eq!(store.session(gone.session).await.unwrap(), None);
    assert_eq!(store.take_bundle(alice.id, gone.address.device, true, NOW).await.unwrap(), None);
    assert_eq!(gone.waiting(&store).await, []);
    assert_eq!(store.acknowledge(gone.address, gone.epoch, vec![]).await.unwrap(), None);
    assert_eq!(alice.devices[0].texts(&store).await.len(), 3, "the other device keeps its copies");
    let told = bob.devices[0].waiting(&store).await;
    match told.as_slice() {
        [QueueItem::Expired { to, numbers, reason: ExpiryReason::DeviceRemoved, .. }] => {
            assert_eq!((*to, numbers.as_slice()), (gone.address, &[1, 2, 3].map(MessageNumber)[..]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bob.devices[0].ack(&store, &[told[0].id()]).await, Some(1));
    assert_eq!(bob.devices[0].waiting(&store).await, []);
}

pub(crate) async fn threat_26_a_device_made_anew_starts_at_number_one_and_gets_nothing_of_its_predecessor(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let former = alice.devices[1].clone();
    rows(former.send(&store, 1, &bob, "from the former").await);
    rows(bob.devices[0].send(&store, 1, &alice, "to the former").await);
    alice.publish(&store, vec![alice.devices[0].clone()]).await;
    alice.add_device(&store, 2).await;
    let anew = alice.devices[1].clone();
    assert_ne!(anew.address, former.address);
    assert_eq!(anew.waiting(&store).await, []);
    assert_eq!(store.device(anew.address).await.unwrap().unwrap().highest_number, MessageNumber(0));
    rows(anew.send(&store, 1, &bob, "from the new one").await);
    let texts = bob.devices[0].texts(&store).await;
    assert_eq!(
        texts.iter().map(|(from, number, _)| (*from, *number)).collect::<Vec<_>>(),
        [(former.address, 1), (anew.address, 1)]
    );
    let stale = bob.devices[0].accept(2, alice.id, vec![alice.devices[0].copy("x"), former.copy("x")]);
    let expected = Refusal::DevicesMismatch { missing: vec![], extra: vec![], stale: vec![anew.address.device] };
    assert_eq!(store.accept(stale, NOW).await.unwrap(), AcceptOutcome::Refused(expected));
}

pub(crate) async fn a_registration_that_returns_goes_on_with_its_numbers(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let mut device = alice.devices[1].clone();
    rows(device.send(&store, 1, &bob, "before").await);
    alice.publish(&store, vec![alice.devices[0].clone()]).await;
    let gone = device.send(&store, 2, &bob, "while removed").await;
    assert_eq!(gone, AcceptOutcome::Refused(Refusal::RecipientUnknown));
    device.session = sealpost_api::ids::SessionId::from_bytes(fresh());
    alice.publish(&store, vec![alice.devices[0].clone(), device.clone()]).await;
    assert!(matches!(store.start_session(device.log_in(), NOW).await.unwrap(), StartSession::Started { .. }));
    let former_epoch = device.epoch;
    device.connect(&store, NOW).await;
    assert!(device.epoch > former_epoch);
    assert_eq!(device.send(&store, 1, &bob, "before").await, AcceptOutcome::AlreadyAccepted);
    assert_eq!(bob.devices[0].texts(&store).await.len(), 1);
}

pub(crate) async fn a_new_identity_replaces_devices_and_sessions_at_once(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let keys = AccountIdentityKeyPair::from_seed(&fresh());
    let device = Device::new(alice.id, 1);
    let list = sign(&keys, alice.id, 3, alice.list.hash(), true, std::slice::from_ref(&device));
    let publish = PublishList { device_list: list.clone(), added: vec![device.keys()], log_in: Some(device.log_in()) };
    match store.publish_device_list(publish.clone(), NOW).await.unwrap() {
        PublishOutcome::Published { removed, ended_sessions, .. } => {
            assert_eq!(removed, alice.devices.iter().map(|device| device.address).collect::<Vec<_>>());
            assert_eq!(ended_sessions.len(), 2);
        }
        other => panic!("{other:?}"),
    }
    let sessions = store.sessions(alice.id).await.unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), [device.session]);
    assert_eq!(store.publish_device_list(publish, NOW).await.unwrap(), PublishOutcome::AlreadyCurrent);
    let repeated = store.start_session(device.log_in(), NOW).await.unwrap();
    assert_eq!(repeated, StartSession::Repeated { generation: 1 });
    let opened = store.open_connection(device.address, device.session, 1, NOW).await.unwrap();
    assert!(matches!(opened, OpenConnection::Opened { epoch: ConnectionEpoch(1), .. }));
}

pub(crate) async fn a_session_id_in_use_stops_a_new_identity(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let keys = AccountIdentityKeyPair::from_seed(&fresh());
    let mut device = Device::new(alice.id, 1);
    device.session = alice.devices[0].session;
    let list = sign(&keys, alice.id, 2, alice.list.hash(), true, std::slice::from_ref(&device));
    let publish = PublishList { device_list: list, added: vec![device.keys()], log_in: Some(device.log_in()) };
    assert_eq!(store.publish_device_list(publish, NOW).await.unwrap(), PublishOutcome::SessionTaken);
    assert!(store.device(alice.devices[0].address).await.unwrap().is_some());
    assert!(store.session(alice.devices[0].session).await.unwrap().is_some());
}

pub(crate) async fn lists_are_given_in_order_for_a_client_that_is_behind(store: S) {
    let alice = Person::register(&store, "alice", 5).await;
    let (lists, current) = store.device_lists(alice.id, 2, 2).await.unwrap().unwrap();
    assert_eq!(current, 5);
    let versions: Vec<_> =
        lists.iter().map(|list| sealpost_crypto::DeviceList::decode(&list.0).unwrap().version()).collect();
    assert_eq!(versions, [3, 4]);
    assert_eq!(store.device_lists(alice.id, 5, 64).await.unwrap(), Some((vec![], 5)));
    assert_eq!(store.device_lists(alice.id, u64::MAX, 64).await.unwrap(), Some((vec![], 5)));
    let nobody = Person::new("nobody").id;
    assert_eq!(store.device_lists(nobody, 0, 64).await.unwrap(), None);
    assert_eq!(UnixMillis(NOW.0), store.account(alice.id).await.unwrap().unwrap().created_at);
}
