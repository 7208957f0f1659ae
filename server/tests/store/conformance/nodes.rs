use sealpost_server::store::{DeviceGlance, Fact};

use crate::world::{DAY, Device, LIMITS, NOW, Person, S, rows};

async fn glance(store: &S, device: &Device) -> Option<DeviceGlance> {
    let seen = store.glance(&[device.address]).await.unwrap();
    assert!(seen.len() <= 1);
    seen.into_iter().next()
}

pub(crate) async fn of_many_sessions_those_that_ended_are_left_out(store: S) {
    let (alice, bob) = (Person::register(&store, "alice", 2).await, Person::register(&store, "bob", 1).await);
    let unknown = Device::new(alice.id, 3).session;
    let sessions = [alice.devices[0].session, alice.devices[1].session, bob.devices[0].session, unknown];
    let live = async || store.live_sessions(&sessions).await.unwrap().into_iter().collect::<Vec<_>>();
    let mut all = sessions[..3].to_vec();
    all.sort_unstable();
    assert_eq!(live().await, all);
    store.end_session(alice.id, sessions[0]).await.unwrap();
    all.retain(|session| *session != sessions[0]);
    assert_eq!(live().await, all);
    store.end_all_sessions(alice.id).await.unwrap();
    assert_eq!(live().await, [sessions[2]]);
    store.delete_account(bob.id, bob.name_hash(), NOW).await.unwrap();
    assert!(live().await.is_empty() && store.live_sessions(&[]).await.unwrap().is_empty());
}

pub(crate) async fn the_session_of_a_removed_device_is_not_live(store: S) {
    let mut alice = Person::register(&store, "alice", 2).await;
    let (kept, removed) = (alice.devices[0].clone(), alice.devices[1].session);
    alice.publish(&store, vec![kept.clone()]).await;
    let live = store.live_sessions(&[kept.session, removed]).await.unwrap();
    assert!(live.contains(&kept.session) && !live.contains(&removed));
}

pub(crate) async fn a_glance_shows_the_newest_connection_and_whether_something_waits(store: S) {
    let alice = Person::register(&store, "alice", 1).await;
    let mut bob = Person::new("bob");
    store.create_account(bob.new_account(), NOW).await.unwrap();
    assert_eq!(glance(&store, &bob.devices[0]).await, None, "it was never connected");
    bob.devices[0].connect(&store, NOW).await;
    let device = bob.devices[0].clone();
    let shown = |device: &Device, waiting| DeviceGlance { address: device.address, epoch: device.epoch, waiting };
    assert_eq!(glance(&store, &device).await, Some(shown(&device, false)));
    let ids = rows(alice.devices[0].send(&store, 1, &bob, "hello").await);
    assert_eq!(glance(&store, &device).await, Some(shown(&device, true)));
    assert_eq!(device.ack(&store, &ids).await, Some(1));
    assert_eq!(glance(&store, &device).await, Some(shown(&device, false)));
    bob.devices[0].connect(&store, NOW).await;
    assert!(bob.devices[0].epoch > device.epoch);
    let both = store.glance(&[alice.devices[0].address, device.address]).await.unwrap();
    assert!(both.len() == 2 && both.contains(&shown(&bob.devices[0], false)));
}

pub(crate) async fn a_notice_is_something_that_waits(store: S) {
    let (alice, bob) = (Person::register(&store, "alice", 1).await, Person::register(&store, "bob", 1).await);
    alice.devices[0].send(&store, 1, &bob, "hello").await;
    let later = NOW.saturating_add(LIMITS.dormant_after_millis + DAY);
    while store.expire(later, later, 100).await.unwrap().deleted > 0 {}
    assert!(glance(&store, &alice.devices[0]).await.unwrap().waiting, "its message expired");
}

pub(crate) async fn nodes_agree_on_what_the_first_one_said(store: S) {
    assert_eq!(store.agree(Fact::NamesKey, [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.agree(Fact::NamesKey, [2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.agree(Fact::Pepper, [3; 32]).await.unwrap(), [3; 32], "each fact for itself");
    assert!(!store.agree_anew(Fact::NamesKey, [2; 32], [4; 32]).await.unwrap());
    assert!(store.agree_anew(Fact::NamesKey, [1; 32], [4; 32]).await.unwrap());
    assert!(store.agree_anew(Fact::NamesKey, [1; 32], [4; 32]).await.unwrap(), "once more, after a lost answer");
    assert_eq!(store.agree(Fact::NamesKey, [1; 32]).await.unwrap(), [4; 32]);
    assert!(!store.agree_anew(Fact::TokenKey, [1; 32], [4; 32]).await.unwrap(), "nothing was said of it");
}
