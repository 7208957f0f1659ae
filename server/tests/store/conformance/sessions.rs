use sealpost_api::ids::{RefreshTokenHash, SessionId, StoreId};
use sealpost_crypto::AccountIdentityKeyPair;
use sealpost_server::store::{
    AfterRestore, LogIn, OpenConnection, PublishList, PublishOutcome, RotateRefreshToken, StartSession,
};

use crate::world::{DAY, Device, NOW, Person, S, fresh, one_time, sign, with_password};

fn token() -> RefreshTokenHash {
    RefreshTokenHash::from_bytes(fresh())
}

pub(crate) async fn a_start_repeated_at_the_first_token_gets_the_first_answer(store: S) {
    let mut alice = Person::register(&store, "alice", 1).await;
    let device = &mut alice.devices[0];
    (device.session, device.refresh_hash) = (SessionId::from_bytes(fresh()), token());
    let start = || store.start_session(device.log_in(), NOW);
    assert!(matches!(start().await.unwrap(), StartSession::Started { generation: 1, .. }));
    assert_eq!(start().await.unwrap(), StartSession::Repeated { generation: 1 });
    let mut other = device.new_session();
    other.refresh_hash = token();
    assert_eq!(store.start_session(with_password(other), NOW).await.unwrap(), StartSession::Conflict);
    store.rotate_refresh_token(device.session, device.refresh_hash, token(), NOW).await.unwrap();
    assert_eq!(start().await.unwrap(), StartSession::Conflict);
    assert!(store.session(device.session).await.unwrap().is_some(), "a conflict ends nothing");
    store.end_session(alice.id, alice.devices[0].session).await.unwrap();
    let ended = store.start_session(alice.devices[0].log_in(), NOW).await.unwrap();
    assert_eq!(ended, StartSession::Conflict);
}

pub(crate) async fn a_new_session_ends_the_devices_others(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let mut again = alice.devices[0].new_session();
    (again.id, again.refresh_hash) = (SessionId::from_bytes(fresh()), token());
    let started = store.start_session(with_password(again.clone()), NOW.saturating_add(1)).await.unwrap();
    assert_eq!(started, StartSession::Started { generation: 1, ended_sessions: vec![alice.devices[0].session] });
    let sessions: Vec<_> = store.sessions(alice.id).await.unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(sessions, [alice.devices[1].session, again.id]);
}

pub(crate) async fn a_session_needs_a_device_of_the_current_list(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let stranger = Device::new(alice.id, 1);
    assert_eq!(store.start_session(stranger.log_in(), NOW).await.unwrap(), StartSession::UnknownDevice);
    assert_eq!(store.session(stranger.session).await.unwrap(), None);
    assert_eq!(store.sessions(alice.id).await.unwrap().len(), 1);
}

pub(crate) async fn a_password_that_was_changed_meanwhile_begins_no_session(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let mut again = alice.devices[0].new_session();
    (again.id, again.refresh_hash) = (SessionId::from_bytes(fresh()), token());
    let keys = AccountIdentityKeyPair::from_seed(&fresh());
    let device = Device::new(alice.id, 1);
    let list = sign(&keys, alice.id, 2, alice.list.hash(), true, std::slice::from_ref(&device));
    let publish = PublishList { device_list: list, added: vec![device.keys()], log_in: Some(device.log_in()) };
    // Both were compared with the first hash; then the password changes.
    store.reset_password_hash(alice.id, "hash 2").await.unwrap().unwrap();
    let started = store.start_session(with_password(again.clone()), NOW).await.unwrap();
    assert_eq!(started, StartSession::PasswordChanged);
    assert_eq!(store.publish_device_list(publish, NOW).await.unwrap(), PublishOutcome::PasswordChanged);
    assert_eq!(store.sessions(alice.id).await.unwrap(), []);
    assert!(store.device(alice.devices[0].address).await.unwrap().is_some());
    let log_in = LogIn { session: again, password_hash: "hash 2".to_owned() };
    assert!(matches!(store.start_session(log_in, NOW).await.unwrap(), StartSession::Started { .. }));
}

pub(crate) async fn a_refresh_whose_reply_was_lost_gets_the_first_answer(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let (session, first) = (alice.devices[0].session, alice.devices[0].refresh_hash);
    let (second, third) = (token(), token());
    let rotate = |old, next, now| store.rotate_refresh_token(session, old, next, now);
    assert_eq!(rotate(first, second, NOW).await.unwrap(), RotateRefreshToken::Rotated { generation: 1 });
    let later = NOW.saturating_add(DAY / 24);
    assert_eq!(rotate(first, second, later).await.unwrap(), RotateRefreshToken::Repeated { generation: 1 });
    assert_eq!(rotate(second, third, later).await.unwrap(), RotateRefreshToken::Rotated { generation: 1 });
    assert_eq!(store.session(session).await.unwrap().unwrap().last_used_at, later);
}

pub(crate) async fn a_spent_refresh_token_ends_the_session(store: S) {
    let alice = Person::register(&store, "alice", 3).await;
    for (device, case) in alice.devices.iter().zip(["old pair again", "old token, other next", "never a token"]) {
        let (session, first) = (device.session, device.refresh_hash);
        let (second, third) = (token(), token());
        store.rotate_refresh_token(session, first, second, NOW).await.unwrap();
        let (old, next) = match case {
            "old pair again" => {
                store.rotate_refresh_token(session, second, third, NOW).await.unwrap();
                (first, second)
            }
            "old token, other next" => (first, third),
            _ => (token(), second),
        };
        let spent = store.rotate_refresh_token(session, old, next, NOW).await.unwrap();
        assert_eq!(spent, RotateRefreshToken::Spent, "{case}");
        assert_eq!(store.session(session).await.unwrap(), None, "{case}");
        for (old, next) in [(old, next), (second, third), (first, second)] {
            let after = store.rotate_refresh_token(session, old, next, NOW).await.unwrap();
            assert_eq!(after, RotateRefreshToken::Unknown, "{case}");
        }
    }
    let never = store.rotate_refresh_token(SessionId::from_bytes(fresh()), token(), token(), NOW).await.unwrap();
    assert_eq!(never, RotateRefreshToken::Unknown);
}

pub(crate) async fn sessions_are_ended_only_by_their_own_account(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let bob = Person::register(&store, "bob", 1).await;
    assert!(!store.end_session(bob.id, alice.devices[0].session).await.unwrap());
    assert!(store.session(alice.devices[0].session).await.unwrap().is_some());
    assert!(store.end_session(alice.id, alice.devices[0].session).await.unwrap());
    assert!(!store.end_session(alice.id, alice.devices[0].session).await.unwrap());
    assert_eq!(store.end_all_sessions(alice.id).await.unwrap(), [alice.devices[1].session]);
    assert_eq!(store.end_all_sessions(alice.id).await.unwrap(), []);
    assert_eq!(store.sessions(bob.id).await.unwrap().len(), 1);
}

pub(crate) async fn an_ended_session_opens_no_connection(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let (one, two) = (&alice.devices[0], &alice.devices[1]);
    for (address, session, generation, case) in [
        (one.address, two.session, 1, "another device's session"),
        (one.address, one.session, 2, "another generation"),
        (one.address, SessionId::from_bytes(fresh()), 1, "no session"),
        (Device::new(alice.id, 1).address, one.session, 1, "another registration"),
    ] {
        let opened = store.open_connection(address, session, generation, NOW).await.unwrap();
        assert_eq!(opened, OpenConnection::Refused, "{case}");
    }
    store.end_session(alice.id, one.session).await.unwrap();
    assert_eq!(store.open_connection(one.address, one.session, 1, NOW).await.unwrap(), OpenConnection::Refused);
}

pub(crate) async fn after_a_restore_nothing_that_could_have_ended_is_left(store: S) {
    let alice = Person::register(&store, "alice", 2).await;
    let device = &alice.devices[0];
    let epoch = store.device(device.address).await.unwrap().unwrap().key_epoch;
    store.upload_prekeys(device.address, epoch, vec![one_time(1), one_time(2)], None).await.unwrap();
    store.add_invite(fresh(), NOW.saturating_add(DAY), NOW).await.unwrap();
    let new = StoreId::from_bytes(fresh());
    let ended = store.after_restore(new).await.unwrap();
    assert_eq!(ended, AfterRestore { devices: 2, sessions: 2, one_time_prekeys: 2, invites: 1 });
    assert_eq!(store.store_id(), new);
    assert_eq!(store.sessions(alice.id).await.unwrap(), []);
    assert_eq!(store.one_time_prekey_ids(device.address).await.unwrap(), Some(vec![]));
    assert!(store.device(device.address).await.unwrap().unwrap().key_epoch > epoch);
    let again = store.after_restore(new).await.unwrap();
    assert_eq!(again, AfterRestore { devices: 2, ..AfterRestore::default() }, "a second call does no harm");
}
