use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealpost_api::ids::KeyEpoch;
use sealpost_crypto::{DeviceAddress, OneTimePrekey};
use sealpost_server::store::UploadPrekeys;
use tokio::sync::Mutex;

use crate::world::{DAY, Device, NOW, Person, S, id, one_time, signed, size};

const EPOCH: KeyEpoch = KeyEpoch(1);

async fn upload(store: &S, address: DeviceAddress, keys: &[OneTimePrekey]) -> UploadPrekeys {
    store.upload_prekeys(address, EPOCH, keys.to_vec(), None).await.unwrap()
}

async fn ids(store: &S, address: DeviceAddress) -> Vec<u32> {
    store.one_time_prekey_ids(address).await.unwrap().unwrap()
}

async fn take(store: &S, address: DeviceAddress) -> Option<OneTimePrekey> {
    store.take_bundle(address.account, address.device, true, NOW).await.unwrap().unwrap().one_time_prekey
}

pub(crate) async fn threat_2_no_one_time_prekey_is_taken_twice_by_64_tasks(store: S) {
    // `SEALPOST_TAKES=1000000` is the long form.
    let takes = size("SEALPOST_TAKES", 10_000);
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let taken = Arc::new(Mutex::new(BTreeMap::<u32, OneTimePrekey>::new()));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (store, taken) = (store.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                loop {
                    let key = take(&store, address).await;
                    let mut taken = taken.lock().await;
                    if let Some(key) = key {
                        assert!(taken.insert(key.id.0, key).is_none(), "{} was given twice", key.id.0);
                    }
                    if taken.len() >= takes {
                        return;
                    }
                }
            })
        })
        .collect();
    let mut uploaded = BTreeMap::new();
    let mut next = 1;
    while tasks.iter().any(|task| !task.is_finished()) {
        let keys: Vec<_> = (next..next + 100).map(one_time).collect();
        if upload(&store, address, &keys).await == UploadPrekeys::Stored {
            next += 100;
            uploaded.extend(keys.into_iter().map(|key| (key.id.0, key)));
        }
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let taken = taken.lock().await;
    assert!(taken.len() >= takes);
    assert!(taken.iter().all(|(id, key)| uploaded.get(id) == Some(key)));
    let left: BTreeSet<_> = ids(&store, address).await.into_iter().collect();
    assert!(left.iter().all(|id| !taken.contains_key(id)));
    assert_eq!(taken.len() + left.len(), uploaded.len(), "taken and left are all that was uploaded");
}

pub(crate) async fn one_time_prekeys_are_taken_oldest_first_until_none_is_left(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let keys: Vec<_> = [3, 5, 9].map(one_time).to_vec();
    assert_eq!(upload(&store, address, &keys).await, UploadPrekeys::Stored);
    for (key, left) in keys.iter().zip([2, 1, 0]) {
        let bundle = store.take_bundle(alice.id, id(1), true, NOW).await.unwrap().unwrap();
        assert_eq!((bundle.one_time_prekey.as_ref(), bundle.one_time_left, bundle.address), (Some(key), left, address));
    }
    let bundle = store.take_bundle(alice.id, id(1), true, NOW).await.unwrap().unwrap();
    assert!(bundle.one_time_prekey.is_none() && bundle.signed_prekey.is_some());
    assert_eq!(store.take_bundle(alice.id, id(2), true, NOW).await.unwrap(), None);
}

pub(crate) async fn an_upload_repeated_after_takes_gives_no_key_twice(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let keys: Vec<_> = (1..=10).map(one_time).collect();
    upload(&store, address, &keys).await;
    let first = take(&store, address).await.unwrap();
    assert_eq!(upload(&store, address, &keys).await, UploadPrekeys::Stored);
    let mut given = BTreeSet::from([first.id]);
    while let Some(key) = take(&store, address).await {
        assert!(given.insert(key.id), "{} was given twice", key.id);
    }
    assert_eq!(given.len(), 10);
    assert_eq!(upload(&store, address, &keys).await, UploadPrekeys::Stored);
    assert_eq!(ids(&store, address).await, Vec::<u32>::new());
    assert_eq!(store.device(address).await.unwrap().unwrap().max_issued_id, 10);
}

pub(crate) async fn an_id_with_another_key_is_a_conflict_and_changes_nothing(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    upload(&store, address, &[one_time(1), one_time(2)]).await;
    assert_eq!(upload(&store, address, &[one_time(2), one_time(3)]).await, UploadPrekeys::IdConflict(2));
    assert_eq!(upload(&store, address, &[one_time(4), one_time(4)]).await, UploadPrekeys::IdConflict(4));
    assert_eq!(ids(&store, address).await, [1, 2]);
    let other_signed = store.upload_prekeys(address, EPOCH, vec![one_time(3)], Some(signed(1))).await.unwrap();
    assert_eq!(other_signed, UploadPrekeys::IdConflict(1));
    assert_eq!(ids(&store, address).await, [1, 2]);
}

pub(crate) async fn an_upload_for_another_key_epoch_changes_nothing(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let before = store.device(address).await.unwrap();
    for epoch in [0, 2, u32::MAX] {
        let keys = vec![one_time(1)];
        let outcome = store.upload_prekeys(address, KeyEpoch(epoch), keys, Some(signed(2))).await.unwrap();
        assert_eq!(outcome, UploadPrekeys::KeyEpochConflict);
    }
    assert_eq!(store.device(address).await.unwrap(), before);
    let stranger = Device::new(alice.id, 1).address;
    assert_eq!(upload(&store, stranger, &[one_time(1)]).await, UploadPrekeys::UnknownDevice);
    assert_eq!(store.one_time_prekey_ids(stranger).await.unwrap(), None);
}

pub(crate) async fn more_than_200_one_time_prekeys_are_not_stored(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let keys: Vec<_> = (1..=201).map(one_time).collect();
    upload(&store, address, &keys[..100]).await;
    assert_eq!(upload(&store, address, &keys[100..]).await, UploadPrekeys::Full);
    assert_eq!(ids(&store, address).await.len(), 100);
    assert_eq!(upload(&store, address, &keys[100..200]).await, UploadPrekeys::Stored);
    assert_eq!(upload(&store, address, &keys[100..200]).await, UploadPrekeys::Stored, "a repeat needs no room");
    assert_eq!(upload(&store, address, &keys[200..]).await, UploadPrekeys::Full);
    take(&store, address).await.unwrap();
    assert_eq!(upload(&store, address, &keys[200..]).await, UploadPrekeys::Stored);
}

pub(crate) async fn a_signed_prekey_is_replaced_only_by_a_higher_id(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let (second, third) = (signed(2), signed(3));
    for new in [&third, &third, &second] {
        let outcome = store.upload_prekeys(address, EPOCH, vec![], Some(*new)).await.unwrap();
        assert_eq!(outcome, UploadPrekeys::Stored);
        assert_eq!(store.device(address).await.unwrap().unwrap().signed_prekey.as_ref(), Some(&third));
    }
}

pub(crate) async fn an_expired_signed_prekey_is_not_given_and_burns_no_one_time_prekey(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    upload(&store, address, &[one_time(1)]).await;
    let late = NOW.saturating_add(45 * DAY);
    let bundle = store.take_bundle(alice.id, id(1), true, late).await.unwrap().unwrap();
    assert!(bundle.signed_prekey.is_none() && bundle.one_time_prekey.is_none() && bundle.dormant);
    assert_eq!(ids(&store, address).await, [1]);
    let before = store.take_bundle(alice.id, id(1), false, late.saturating_sub(1)).await.unwrap().unwrap();
    assert!(before.signed_prekey.is_some() && before.one_time_prekey.is_none());
    assert_eq!(ids(&store, address).await, [1], "none was asked for");
}

pub(crate) async fn discarded_one_time_prekeys_are_gone_and_their_ids_stay_used(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let address = alice.devices[0].address;
    let keys: Vec<_> = (1..=3).map(one_time).collect();
    upload(&store, address, &keys).await;
    assert_eq!(store.discard_one_time_prekeys(address).await.unwrap(), 3);
    assert_eq!(store.discard_one_time_prekeys(address).await.unwrap(), 0);
    assert_eq!(upload(&store, address, &keys).await, UploadPrekeys::Stored);
    assert_eq!(ids(&store, address).await, Vec::<u32>::new());
    assert_eq!(upload(&store, address, &[one_time(4)]).await, UploadPrekeys::Stored);
    assert_eq!(ids(&store, address).await, [4]);
}

/// What can happen around an upload, each at any time.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new batch of this many keys; the answer may be lost, so that the client will send it again.
    Upload(u32),
    /// One of the batches so far comes again.
    Repeat(prop::sample::Index),
    /// A one-time prekey is given to somebody.
    Take,
    /// The device throws its one-time prekeys away.
    Discard,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u32..8).prop_map(Step::Upload),
        4 => any::<prop::sample::Index>().prop_map(Step::Repeat),
        8 => Just(Step::Take),
        1 => Just(Step::Discard),
    ]
}

/// The state that the store must agree with: which keys wait, which were given, and how far ids have come.
async fn follow(store: &S, address: DeviceAddress, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut batches, mut next) = (Vec::<Vec<OneTimePrekey>>::new(), 1);
    let (mut waiting, mut given) = (BTreeMap::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Upload(count) => {
                let keys: Vec<_> = (next..next + count).map(one_time).collect();
                next += count;
                prop_assert_eq!(upload(store, address, &keys).await, UploadPrekeys::Stored);
                waiting.extend(keys.iter().map(|key| (key.id, *key)));
                batches.push(keys);
            }
            Step::Repeat(_) if batches.is_empty() => {}
            Step::Repeat(which) => {
                prop_assert_eq!(
                    upload(store, address, &batches[which.index(batches.len())]).await,
                    UploadPrekeys::Stored
                );
            }
            Step::Take => {
                let key = take(store, address).await;
                prop_assert!(key.is_none_or(|key| given.insert(key.id)), "{:?} was given twice", key.map(|key| key.id));
                prop_assert_eq!(key, waiting.pop_first().map(|(_, key)| key));
            }
            Step::Discard => {
                store.discard_one_time_prekeys(address).await.unwrap();
                waiting.clear();
            }
        }
        let left: Vec<_> = waiting.keys().map(|id| id.0).collect();
        prop_assert_eq!(ids(store, address).await, left);
    }
    Ok(())
}

pub(crate) async fn threat_4_an_upload_repeated_after_a_lost_answer_gives_no_key_twice(store: S) {
    // `SEALPOST_UPLOAD_ORDERS=5000` is the long form.
    let cases = u32::try_from(size("SEALPOST_UPLOAD_ORDERS", 40)).unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let (runtime, accounts) = (tokio::runtime::Handle::current(), Cell::new(0));
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&prop::collection::vec(a_step(), 1..60), |steps| {
            accounts.set(accounts.get() + 1);
            runtime.block_on(async {
                let alice = Person::register(&store, &format!("alice{}", accounts.get()), 1).await;
                follow(&store, alice.devices[0].address, &steps).await
            })
        })
    });
    outcome.unwrap();
}
