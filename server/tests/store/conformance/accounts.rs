use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, DeviceList};
use sealpost_server::store::{CreateAccount, Erased, NameMatch, NewSession, OpenConnection, StartSession, Vacancy};

use crate::world::{DAY, NOW, Person, S, fresh, one_time, rows, with_password};

pub(crate) async fn a_created_account_is_found_by_name_and_by_id(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let by_name = store.account_by_name(&alice.name).await.unwrap().unwrap();
    assert_eq!(store.account(alice.id).await.unwrap().as_ref(), Some(&by_name));
    assert_eq!((by_name.id, by_name.device_list_version, by_name.created_at), (alice.id, 1, NOW));
    assert_eq!(by_name.device_list, EncodedDeviceList(alice.list.encoded().to_vec()));
    assert_eq!(DeviceList::decode(&by_name.device_list.0).unwrap().hash(), alice.list.hash());
    assert_eq!(store.account_by_name(&Person::new("bob").name).await.unwrap(), None);
    assert_eq!(store.account(AccountId::from_bytes(fresh())).await.unwrap(), None);
    let device = store.device(alice.devices[0].address).await.unwrap().unwrap();
    assert_eq!((device.identity, device.last_seen_at), (alice.devices[0].entry.identity, NOW));
    assert_eq!(store.devices(alice.id).await.unwrap().unwrap(), [device]);
}

pub(crate) async fn a_name_that_is_not_there_gives_another_account_and_says_so(store: S) {
    let (alice, nobody) = (Person::new("alice"), Person::new("nobody"));
    assert_eq!(store.account_or_other(&alice.name).await.unwrap(), None);
    store.create_account(alice.new_account(), NOW).await.unwrap();
    Person::register(&store, "bob", 2).await;
    let record = store.account_by_name(&alice.name).await.unwrap().unwrap();
    assert_eq!(store.account_or_other(&alice.name).await.unwrap(), Some(NameMatch::Named(Box::new(record))));
    assert!(matches!(store.account_or_other(&nobody.name).await.unwrap(), Some(NameMatch::Other(_))));
}

pub(crate) async fn a_registration_can_be_seen_to_be_hopeless_before_it_is_tried(store: S) {
    let (alice, bob) = (Person::register(&store, "alice", 1).await, Person::new("bob"));
    let (invite, late) = (fresh(), NOW.saturating_add(DAY));
    store.add_invite(invite, late, NOW).await.unwrap();
    let record = store.account_by_name(&alice.name).await.unwrap().map(Box::new);
    let taken = store.vacancy(&alice.name, alice.name_hash(), None, NOW).await.unwrap();
    assert_eq!(taken, Vacancy { holder: record, retired: false, invite_good: true });
    for (hash, now, invite_good) in [(invite, NOW, true), (invite, late, false), (fresh(), NOW, false)] {
        let free = store.vacancy(&bob.name, bob.name_hash(), Some(hash), now).await.unwrap();
        assert_eq!(free, Vacancy { holder: None, retired: false, invite_good });
    }
    store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap();
    let retired = store.vacancy(&alice.name, alice.name_hash(), None, NOW).await.unwrap();
    assert_eq!(retired, Vacancy { holder: None, retired: true, invite_good: true });
}

pub(crate) async fn one_of_500_concurrent_registrations_gets_the_name(store: S) {
    let people: Vec<_> = (0..500).map(|_| Person::new("popular")).collect();
    let tasks: Vec<_> = people
        .iter()
        .map(|person| {
            let (store, account) = (store.clone(), person.new_account());
            tokio::spawn(async move { store.create_account(account, NOW).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for (person, task) in people.iter().zip(tasks) {
        if task.await.unwrap() == CreateAccount::Created {
            winners.push(person.id);
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(store.account_by_name(&people[0].name).await.unwrap().unwrap().id, winners[0]);
    for loser in people.iter().filter(|person| person.id != winners[0]) {
        assert_eq!(store.account(loser.id).await.unwrap(), None);
        assert_eq!(store.session(loser.devices[0].session).await.unwrap(), None);
    }
}

pub(crate) async fn a_registration_repeated_after_a_lost_reply_finds_itself(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    match store.create_account(alice.new_account(), NOW).await.unwrap() {
        CreateAccount::NameTaken(record) => {
            assert_eq!((record.id, record.device_list.0.as_slice()), (alice.id, alice.list.encoded()));
        }
        other => panic!("{other:?}"),
    }
    let again = store.start_session(alice.devices[0].log_in(), NOW).await.unwrap();
    assert_eq!(again, StartSession::Repeated { generation: 1 });
}

pub(crate) async fn the_name_of_a_deleted_account_is_not_given_again(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    assert!(store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().is_some());
    assert_eq!(store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap(), None);
    assert_eq!(store.account_by_name(&alice.name).await.unwrap(), None);
    let other = Person::new("alice").new_account();
    assert_eq!(store.create_account(other, NOW).await.unwrap(), CreateAccount::NameRetired);
}

pub(crate) async fn an_account_id_or_session_id_in_use_is_refused(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let mut same_id = alice.new_account();
    same_id.username = Person::new("bob").name;
    same_id.session.id = SessionId::from_bytes(fresh());
    assert_eq!(store.create_account(same_id, NOW).await.unwrap(), CreateAccount::AccountTaken);
    let bob = Person::new("bob");
    let mut same_session = bob.new_account();
    same_session.session.id = alice.devices[0].session;
    assert_eq!(store.create_account(same_session, NOW).await.unwrap(), CreateAccount::SessionTaken);
    assert_eq!(store.account(bob.id).await.unwrap(), None);
    assert_eq!(store.create_account(bob.new_account(), NOW).await.unwrap(), CreateAccount::Created);
}

pub(crate) async fn an_invite_pays_for_one_account_until_it_expires(store: S) {
    let (invite, late) = (fresh(), fresh());
    store.add_invite(invite, NOW.saturating_add(DAY), NOW).await.unwrap();
    store.add_invite(late, NOW.saturating_add(DAY), NOW).await.unwrap();
    let with = |name: &str, invite| {
        let mut account = Person::new(name).new_account();
        account.invite_hash = Some(invite);
        account
    };
    assert_eq!(store.create_account(with("alice", fresh()), NOW).await.unwrap(), CreateAccount::InviteInvalid);
    assert_eq!(store.create_account(with("alice", invite), NOW).await.unwrap(), CreateAccount::Created);
    assert_eq!(store.create_account(with("bob", invite), NOW).await.unwrap(), CreateAccount::InviteInvalid);
    let tomorrow = NOW.saturating_add(DAY);
    assert_eq!(store.create_account(with("bob", late), tomorrow).await.unwrap(), CreateAccount::InviteInvalid);
    assert_eq!(store.create_account(with("bob", late), NOW).await.unwrap(), CreateAccount::Created);
}

pub(crate) async fn a_password_change_ends_all_other_sessions_and_raises_the_kept_one(store: S) {
    let alice = Person::register(&store, "alice", 3).await;
    let kept = alice.devices[1].session;
    let mut ended = store.set_password_hash(alice.id, "hash 1", "hash 2", Some(kept)).await.unwrap().unwrap();
    ended.sort();
    let mut others = [alice.devices[0].session, alice.devices[2].session];
    others.sort();
    assert_eq!(ended, others);
    let left = store.sessions(alice.id).await.unwrap();
    assert_eq!(left.iter().map(|session| (session.id, session.generation)).collect::<Vec<_>>(), [(kept, 2)]);
    assert_eq!(store.session(alice.devices[0].session).await.unwrap(), None);
    assert_eq!(store.account(alice.id).await.unwrap().unwrap().password_hash, "hash 2");
    let stale = store.open_connection(alice.devices[1].address, kept, 1, NOW).await.unwrap();
    assert_eq!(stale, OpenConnection::Refused);
}

pub(crate) async fn a_password_change_from_another_hash_changes_nothing(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    assert_eq!(store.set_password_hash(alice.id, "hash 0", "hash 2", None).await.unwrap(), None);
    assert!(!store.rehash_password(alice.id, "hash 0", "hash 2").await.unwrap());
    assert_eq!(store.sessions(alice.id).await.unwrap().len(), 2);
    assert!(store.rehash_password(alice.id, "hash 1", "hash 1b").await.unwrap());
    assert_eq!(store.sessions(alice.id).await.unwrap().len(), 2);
    assert_eq!(store.account(alice.id).await.unwrap().unwrap().password_hash, "hash 1b");
}

pub(crate) async fn deleting_an_account_erases_what_is_its_and_keeps_what_it_sent(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    rows(alice.devices[0].send(&store, 1, &bob, "to bob").await);
    rows(bob.devices[0].send(&store, 1, &alice, "to alice").await);
    rows(bob.devices[0].send(&store, 2, &alice, "to alice").await);
    let erased = store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().unwrap();
    assert_eq!(erased.notified, [bob.devices[0].address]);
    assert_eq!(store.account(alice.id).await.unwrap(), None);
    assert_eq!(store.devices(alice.id).await.unwrap(), None);
    assert_eq!(store.session(alice.devices[0].session).await.unwrap(), None);
    assert_eq!(bob.devices[0].texts(&store).await, [(alice.devices[0].address, 1, "to bob".to_owned())]);
    let waiting = bob.devices[0].waiting(&store).await;
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting.iter().any(|item| matches!(item,
        sealpost_server::store::QueueItem::Expired { to, numbers, reason, .. }
            if *to == alice.devices[0].address
            && numbers.iter().map(|number| number.0).eq([1, 2])
            && *reason == sealpost_api::frames::ExpiryReason::AccountDeleted)));
}

pub(crate) async fn the_record_of_what_was_erased_is_complete(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let device = alice.devices[0].clone();
    let keys = (1..=5).map(one_time).collect();
    store.upload_prekeys(device.address, sealpost_api::ids::KeyEpoch(1), keys, None).await.unwrap();
    rows(bob.devices[0].send(&store, 1, &alice, "to both").await);
    let again = NewSession {
        id: SessionId::from_bytes(fresh()),
        refresh_hash: RefreshTokenHash::from_bytes(fresh()),
        ..device.new_session()
    };
    alice.devices[0].session = again.id;
    assert!(matches!(store.start_session(with_password(again), NOW).await.unwrap(), StartSession::Started { .. }));
    let mut erased = store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().unwrap();
    erased.ended_sessions.sort();
    let mut live: Vec<_> = alice.devices.iter().map(|device| device.session).collect();
    live.sort();
    let expected = Erased {
        devices: 2,
        device_lists: 2,
        signed_prekeys: 2,
        one_time_prekeys: 5,
        queued_messages: 2,
        ended_sessions: live,
        sessions: 3,
        notified: vec![bob.devices[0].address],
    };
    assert_eq!(erased, expected);
}
