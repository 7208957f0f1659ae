use sealpost_api::devices::DeviceLists;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::AccountIdentityKeyPair;

use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _, path_id, publish_request};
use crate::server::{Options, TestServer};

const PATH: &str = "/v1/account/devices";

#[tokio::test]
async fn lists_are_published_once_and_read_by_everyone() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let first = alice.list.clone();
    let phone = alice.add_device(&server, 2).await;
    let second = publish_request(&alice.list, vec![phone.prekeys(1..=10, server.now())]);
    let again: DeviceLists = server.put(PATH, &alice.device.access, &second).await.json();
    assert_eq!(again.current_version, 2);
    let path = format!("/v1/accounts/{}/devices", path_id(alice.id()));
    let current: DeviceLists = server.get(&path, &bob.device.access).await.json();
    assert_eq!(current.device_lists[0].0.0, alice.list.encoded());
    let all: DeviceLists = server.get(&format!("{path}?after=0"), &bob.device.access).await.json();
    assert_eq!(
        all.device_lists.iter().map(|list| list.0.0.as_slice()).collect::<Vec<_>>(),
        [first.encoded(), alice.list.encoded()]
    );
    let none: DeviceLists = server.get(&format!("{path}?after=2"), &bob.device.access).await.json();
    assert!(none.device_lists.is_empty());
    for query in ["?after=", "?after=-1", "?after=x", "?before=1", "?after=1&after=2", "?after=18446744073709551616"] {
        server.get(&format!("{path}{query}"), &bob.device.access).await.refused(ProblemCode::MalformedRequest);
    }
}

#[tokio::test]
async fn removing_a_device_kills_its_tokens_at_once() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let mut phone = alice.add_device(&server, 2).await;
    let next = alice.next_list(&[&alice.device]);
    assert_eq!(server.put(PATH, &alice.device.access, &publish_request(&next, Vec::new())).await.status, 200);
    server.get("/v1/sessions", &phone.access).await.refused(ProblemCode::Unauthenticated);
    phone.log_in(&server, "alice", crate::account::PASSWORD).await.refused(ProblemCode::LoginFailed);
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200);
}

#[tokio::test]
async fn each_part_of_a_list_is_checked() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let phone = Device::new(alice.id(), 2);
    let keys = || vec![phone.prekeys(1..=3, server.now())];
    let next = alice.next_list(&[&alice.device, &phone]);
    let token = &alice.device.access;
    let invalid = ProblemCode::DeviceListInvalid;
    server.put(PATH, &bob.device.access, &publish_request(&next, keys())).await.refused(invalid);
    server.put(PATH, token, &publish_request(&next, Vec::new())).await.refused(invalid);
    server.put(PATH, token, &publish_request(&next, [keys(), keys()].concat())).await.refused(invalid);
    let own = vec![alice.device.prekeys(1..=3, server.now())];
    server.put(PATH, token, &publish_request(&alice.next_list(&[&alice.device]), own)).await.refused(invalid);
    let mut forged = publish_request(&next, keys());
    forged.device_list.0.0[120] ^= 1;
    server.put(PATH, token, &forged).await.refused(invalid);
    server.put(PATH, token, &publish_request(&alice.renewed().list, Vec::new())).await.refused(invalid);
    let skipped = Account { list: next.clone(), ..Account::new("alice") };
    let skipped = Account { identity: AccountIdentityKeyPair::from_seed(&alice.identity.seed()), ..skipped }
        .next_list(&[&alice.device]);
    server.put(PATH, token, &publish_request(&skipped, Vec::new())).await.refused(ProblemCode::DeviceListConflict);
    let mut bad_keys = keys();
    bad_keys[0].signed_prekey.expires_at += 1;
    server.put(PATH, token, &publish_request(&next, bad_keys)).await.refused(ProblemCode::SignedPrekeyInvalid);
    assert_eq!(server.put(PATH, token, &publish_request(&next, keys())).await.status, 200);
    // A sibling that lost the race makes its list anew.
    let sibling = alice.next_list(&[&alice.device]);
    server.put(PATH, token, &publish_request(&sibling, Vec::new())).await.refused(ProblemCode::DeviceListConflict);
}
