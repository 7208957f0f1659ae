use sealpost_api::accounts::{AccountInfo, CurrentIdentity, CurrentIdentityRequest};
use sealpost_api::devices::DeviceLists;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::SessionGrant;
use sealpost_crypto::{DeviceList, DeviceListBody};

use crate::account::{Account, AccountCalls as _, DeviceCalls as _, PASSWORD, password, path_id};
use crate::server::{Options, TestServer};

#[tokio::test]
async fn a_new_identity_needs_only_the_password_ends_everything_before_and_shows() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let phone = alice.add_device(&server, 2).await;
    let bob = Account::register(&server, "bob").await;
    let ask = CurrentIdentityRequest { username: "alice".to_owned(), password: password(PASSWORD) };
    let current: CurrentIdentity = server.post("/v1/identity/current", "", &ask).await.json();
    assert_eq!((current.account_id.0, current.device_list.0.0.as_slice()), (alice.id(), alice.list.encoded()));

    let renewed = alice.renewed();
    let request = renewed.new_identity_request(&server);
    let grant: SessionGrant = server.post("/v1/identity", "", &request).await.json();
    for token in [&alice.device.access, &phone.access] {
        server.get("/v1/sessions", token).await.refused(ProblemCode::Unauthenticated);
    }
    assert_eq!(server.get("/v1/sessions", grant.access_token.reveal()).await.status, 200);
    let again: SessionGrant = server.post("/v1/identity", "", &request).await.json();
    assert_eq!(again.session_id, grant.session_id);
    assert_eq!(server.get("/v1/prekeys", again.access_token.reveal()).await.status, 200);

    let info: AccountInfo = server.get("/v1/accounts/by-name/alice", &bob.device.access).await.json();
    assert_eq!(info.account_id.0, alice.id());
    assert_eq!(info.account_identity_key.0, renewed.identity.public());
    let lists: DeviceLists =
        server.get(&format!("/v1/accounts/{}/devices?after=0", path_id(alice.id())), &bob.device.access).await.json();
    assert_eq!((lists.device_lists.len(), lists.current_version), (3, 3));
}

#[tokio::test]
async fn each_part_of_a_new_identity_is_checked() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let other = Account::register(&server, "other").await;
    let good = alice.renewed().new_identity_request(&server);
    let mut wrong = good.clone();
    wrong.password = password("not the password");
    server.post("/v1/identity", "", &wrong).await.refused(ProblemCode::LoginFailed);
    let mut unknown = good.clone();
    unknown.username = "nobody".to_owned();
    server.post("/v1/identity", "", &unknown).await.refused(ProblemCode::LoginFailed);
    let foreign = other.renewed();
    let mut foreign = foreign.new_identity_request(&server);
    foreign.username = "alice".to_owned();
    server.post("/v1/identity", "", &foreign).await.refused(ProblemCode::DeviceListInvalid);
    let unmarked = Account { list: alice.next_list(&[&alice.device]), ..Account::new("alice") };
    let mut unmarked_request = alice.new_identity_request(&server);
    unmarked_request.device_list.0.0 = unmarked.list.encoded().to_vec();
    server.post("/v1/identity", "", &unmarked_request).await.refused(ProblemCode::DeviceListInvalid);
    let late = alice.renewed().renewed();
    server.post("/v1/identity", "", &late.new_identity_request(&server)).await.refused(ProblemCode::DeviceListConflict);
    let ask = CurrentIdentityRequest { username: "alice".to_owned(), password: password("wrong password") };
    server.post("/v1/identity/current", "", &ask).await.refused(ProblemCode::LoginFailed);
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200, "nothing has changed");
    assert_eq!(server.post("/v1/identity", "", &good).await.status, 200);
}

#[tokio::test]
async fn threat_44_a_reset_password_gives_a_new_device_only_a_new_identity_that_the_list_shows() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let reset = password("set by an operator");
    server.services.reset_password("alice", Some(reset.clone())).await.unwrap();
    server.get("/v1/sessions", &alice.device.access).await.refused(ProblemCode::Unauthenticated);
    let newest = async || -> DeviceList {
        let path = format!("/v1/accounts/{}/devices", path_id(alice.id()));
        let lists: DeviceLists = server.get(&path, &bob.device.access).await.json();
        DeviceList::decode(&lists.device_lists[0].0.0).unwrap()
    };
    assert_eq!(newest().await, alice.list, "a reset touches no key and no device");

    // Somebody with the new password, on another machine, can use no device of the list, and no list without the mark.
    let mut intruder = alice.renewed();
    intruder.device.log_in(&server, "alice", reset.reveal()).await.refused(ProblemCode::LoginFailed);
    let body = DeviceListBody { new_identity: false, ..intruder.list.body().clone() };
    let marked = std::mem::replace(&mut intruder.list, DeviceList::sign(&intruder.identity, body).unwrap());
    let mut request = intruder.new_identity_request(&server);
    request.password = reset.clone();
    server.post("/v1/identity", "", &request).await.refused(ProblemCode::DeviceListInvalid);
    assert_eq!(newest().await, alice.list);

    intruder.list = marked;
    let mut request = intruder.new_identity_request(&server);
    request.password = reset;
    assert_eq!(server.post("/v1/identity", "", &request).await.status, 200);
    let shown = newest().await;
    assert!(shown.new_identity() && shown.account_identity() != alice.list.account_identity());
}
