use sealpost_api::ids::KeyEpoch;
use sealpost_api::username::Username;
use sealpost_server::store::{
    CreateAccount, InviteRecord, PublishList, PublishOutcome, QueueSummary, StartSession, StoreFigures,
};

use crate::world::{DAY, Device, NOW, Person, S, fresh, one_time, rows, with_password};

pub(crate) async fn invites_are_listed_newest_first_until_used_revoked_or_expired(store: S) {
    let (old, new, late) = (fresh(), fresh(), fresh());
    let at = |days: u64| NOW.saturating_add(days * DAY);
    store.add_invite(old, at(10), NOW).await.unwrap();
    store.add_invite(new, at(10), at(1)).await.unwrap();
    store.add_invite(late, at(3), at(2)).await.unwrap();
    let listed = async |now, limit| {
        store.invites(now, limit).await.unwrap().into_iter().map(|invite| invite.hash).collect::<Vec<_>>()
    };
    assert_eq!(listed(NOW, 10).await, [late, new, old]);
    assert_eq!(listed(NOW, 2).await, [late, new]);
    assert_eq!(listed(NOW, 0).await, Vec::<[u8; 32]>::new());
    assert_eq!(listed(at(3), 10).await, [new, old]);
    let first = store.invites(NOW, 10).await.unwrap().pop().unwrap();
    assert_eq!(first, InviteRecord { hash: old, created_at: NOW, expires_at: at(10) });
    // Added again it lasts longer, never shorter, and stays as old as it is.
    store.add_invite(old, at(5), at(4)).await.unwrap();
    store.add_invite(late, at(9), at(4)).await.unwrap();
    assert_eq!(listed(at(8), 10).await, [late, new, old]);
    let mut account = Person::new("alice").new_account();
    account.invite_hash = Some(new);
    assert_eq!(store.create_account(account, NOW).await.unwrap(), CreateAccount::Created);
    assert!(store.remove_invite(old).await.unwrap());
    assert!(!store.remove_invite(old).await.unwrap());
    assert_eq!(listed(NOW, 10).await, [late]);
}

pub(crate) async fn accounts_are_listed_by_name_with_what_waits_for_them(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let carol = Person::register(&store, "carol", 1).await;
    rows(bob.devices[0].send(&store, 1, &alice, "12345").await);
    let listed = store.accounts_after(None, 10).await.unwrap();
    let names = |accounts: &[sealpost_server::store::AccountSummary]| {
        accounts.iter().map(|account| account.username.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&listed), ["alice", "bob", "carol"]);
    let first = &listed[0];
    assert_eq!((first.id, first.created_at, first.disabled_at), (alice.id, NOW, None));
    assert_eq!((first.devices, first.queued_messages, first.queued_bytes), (2, 2, 10));
    assert_eq!(names(&store.accounts_after(Some(&alice.name), 1).await.unwrap()), ["bob"]);
    assert_eq!(names(&store.accounts_after(Some(&Username::parse("bobby").unwrap()), 9).await.unwrap()), ["carol"]);
    assert_eq!(store.accounts_after(Some(&carol.name), 9).await.unwrap(), []);
    store.delete_account(alice.id, alice.name_hash(), NOW).await.unwrap().unwrap();
    assert_eq!(names(&store.accounts_after(None, 10).await.unwrap()), ["bob", "carol"]);
}

pub(crate) async fn a_disabled_account_begins_no_session_and_still_gets_messages(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let mut ended = store.disable_account(alice.id, NOW).await.unwrap().unwrap();
    ended.sort();
    let mut live: Vec<_> = alice.devices.iter().map(|device| device.session).collect();
    live.sort();
    assert_eq!(ended, live);
    assert_eq!(store.disable_account(alice.id, NOW.saturating_add(DAY)).await.unwrap(), Some(vec![]));
    assert_eq!(store.account(alice.id).await.unwrap().unwrap().disabled_at, Some(NOW), "the first time counts");
    let mut again = alice.devices[0].new_session();
    again.id = sealpost_api::ids::SessionId::from_bytes(fresh());
    let refused = store.start_session(with_password(again.clone()), NOW).await.unwrap();
    assert_eq!(refused, StartSession::UnknownDevice);
    let device = Device::new(alice.id, 3);
    let list = alice.next_list(std::slice::from_ref(&device));
    let publish = PublishList { device_list: list, added: vec![device.keys()], log_in: Some(device.log_in()) };
    assert_eq!(store.publish_device_list(publish, NOW).await.unwrap(), PublishOutcome::UnknownAccount);
    rows(bob.devices[0].send(&store, 1, &alice, "for later").await);
    assert_eq!(store.enable_account(alice.id).await.unwrap(), Some(true));
    assert_eq!(store.enable_account(alice.id).await.unwrap(), Some(false));
    assert!(matches!(store.start_session(with_password(again), NOW).await.unwrap(), StartSession::Started { .. }));
    let nobody = Person::new("nobody").id;
    assert_eq!(store.disable_account(nobody, NOW).await.unwrap(), None);
    assert_eq!(store.enable_account(nobody).await.unwrap(), None);
    assert_eq!(store.reset_password_hash(nobody, "hash 2").await.unwrap(), None);
}

pub(crate) async fn a_reset_password_ends_every_session_and_keeps_the_rest(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    rows(bob.devices[0].send(&store, 1, &alice, "hello").await);
    assert_eq!(store.reset_password_hash(alice.id, "hash 2").await.unwrap().unwrap().len(), 2);
    assert_eq!(store.sessions(alice.id).await.unwrap(), []);
    let record = store.account(alice.id).await.unwrap().unwrap();
    assert_eq!((record.password_hash.as_str(), record.device_list_version), ("hash 2", 2));
    assert_eq!(alice.devices[0].texts(&store).await.len(), 1);
    let mut again = alice.devices[0].log_in();
    again.session.id = sealpost_api::ids::SessionId::from_bytes(fresh());
    assert_eq!(store.start_session(again.clone(), NOW).await.unwrap(), StartSession::PasswordChanged);
    again.password_hash = "hash 2".to_owned();
    assert!(matches!(store.start_session(again, NOW).await.unwrap(), StartSession::Started { .. }));
}

pub(crate) async fn the_figures_and_the_largest_queues_count_what_is_there(store: S) {
    assert_eq!(store.figures(NOW).await.unwrap(), StoreFigures::default());
    let alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    let carol = Person::register(&store, "carol", 1).await;
    store.add_invite(fresh(), NOW.saturating_add(DAY), NOW).await.unwrap();
    store.disable_account(carol.id, NOW).await.unwrap();
    let keys = (1..=100).map(one_time).collect();
    store.upload_prekeys(alice.devices[0].address, KeyEpoch(1), keys, None).await.unwrap();
    store.upload_prekeys(bob.devices[0].address, KeyEpoch(1), vec![one_time(1)], None).await.unwrap();
    rows(bob.devices[0].send(&store, 1, &alice, "12345").await);
    rows(alice.devices[0].send(&store, 1, &bob, "123").await);
    rows(alice.devices[0].send(&store, 2, &bob, "123").await);
    let expected = StoreFigures {
        accounts: 3,
        disabled_accounts: 1,
        devices: 4,
        invites: 1,
        sessions: 3,
        queued_messages: 4,
        queued_bytes: 16,
        queues: 3,
        oldest_at: Some(NOW),
        one_time_low: 3,
        one_time_none: 2,
        signed_expired: 0,
    };
    assert_eq!(store.figures(NOW).await.unwrap(), expected);
    let late = store.figures(NOW.saturating_add(46 * DAY)).await.unwrap();
    assert_eq!((late.signed_expired, late.invites), (4, 0));
    let queues = store.largest_queues(2).await.unwrap();
    let first = QueueSummary {
        username: bob.name.clone(),
        address: bob.devices[0].address,
        messages: 2,
        bytes: 6,
        oldest_at: NOW,
        last_seen_at: NOW,
    };
    assert_eq!((queues.len(), &queues[0]), (2, &first));
    assert_eq!(queues[1].address.account, alice.id);
    store.delete_account(bob.id, bob.name_hash(), NOW).await.unwrap().unwrap();
    let left = store.largest_queues(9).await.unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|queue| queue.address.account == alice.id));
}
