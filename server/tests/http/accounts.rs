use hyper::Method;
use sealpost_api::accounts::{AccountExport, AccountInfo, DeleteAccountRequest, ErasureReport};
use sealpost_api::encoding::B64;
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::{RegistrationPolicy, ServerInfo};
use sealpost_api::sessions::SessionGrant;
use sealpost_crypto::{DeviceIdentityKeyPair, Signature};

use crate::account::{Account, AccountCalls as _, Device, PASSWORD, one_time_prekeys, password, path_id};
use crate::server::{DAY, HOUR, Options, TestServer};

#[tokio::test]
async fn a_registered_account_can_be_looked_up_and_used_at_once() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "Alice").await;
    let bob = Account::register(&server, "bob").await;
    let info: AccountInfo = server.get("/v1/accounts/by-name/ALICE", &bob.device.access).await.json();
    assert_eq!(info.username, "alice");
    assert_eq!(info.account_id.0, alice.id());
    assert_eq!(info.account_identity_key.0, alice.identity.public());
    assert_eq!(info.device_list.0.0, alice.list.encoded());
    let export: AccountExport = server.get("/v1/account/export", &alice.device.access).await.json();
    assert_eq!(export.username, "alice");
    assert_eq!(export.device_lists.len(), 1);
    assert_eq!((export.devices.len(), export.devices[0].one_time_prekeys, export.sessions.len()), (1, 30, 1));
    assert!(export.sessions[0].current);
}

#[tokio::test]
async fn a_repeated_registration_gets_the_first_answer() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::new("alice");
    let request = alice.register_request(&server);
    let first: SessionGrant = server.post("/v1/accounts", "", &request).await.json();
    let second: SessionGrant = server.post("/v1/accounts", "", &request).await.json();
    assert_eq!((second.session_id, second.account_id), (first.session_id, first.account_id));
    for grant in [first, second] {
        assert_eq!(server.get("/v1/sessions", grant.access_token.reveal()).await.status, 200);
    }
    let keys: sealpost_api::prekeys::PrekeyIds = {
        let grant: SessionGrant = server.post("/v1/accounts", "", &request).await.json();
        server.get("/v1/prekeys/ids", grant.access_token.reveal()).await.json()
    };
    assert_eq!(keys.ids, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_name_belongs_to_whoever_registered_it_first() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::new("alice");
    let request = alice.register_request(&server);
    assert_eq!(server.post("/v1/accounts", "", &request).await.status, 200);
    // Another account, the same with another password, and the same with another session.
    server
        .post("/v1/accounts", "", &Account::new("ALICE").register_request(&server))
        .await
        .refused(ProblemCode::UsernameTaken);
    let mut other = request.clone();
    other.password = password("another password");
    server.post("/v1/accounts", "", &other).await.refused(ProblemCode::UsernameTaken);
    let mut again = Account::new("alice");
    again.list = alice.list.clone();
    again.device = Device::new(alice.id(), 1);
    again.device.identity = DeviceIdentityKeyPair::from_seed(&alice.device.identity.seed());
    again.device.address = alice.device.address;
    server.post("/v1/accounts", "", &again.register_request(&server)).await.refused(ProblemCode::UsernameTaken);
    let mut renamed = request;
    renamed.username = "alicia".to_owned();
    server.post("/v1/accounts", "", &renamed).await.refused(ProblemCode::AccountTaken);
}

#[tokio::test]
async fn each_part_of_a_registration_is_checked() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::new("alice");
    let good = alice.register_request(&server);
    let mut bad = Vec::new();
    let mut case = |code, change: &dyn Fn(&mut sealpost_api::accounts::RegisterRequest)| {
        let mut request = good.clone();
        change(&mut request);
        bad.push((code, request));
    };
    for name in ["al", "1alice", "ali ce", "аlice", "alice\0", "\u{202e}alice", &"a".repeat(33)] {
        case(ProblemCode::UsernameInvalid, &|request| request.username = name.to_owned());
    }
    case(ProblemCode::UsernameReserved, &|request| request.username = "Admin".to_owned());
    case(ProblemCode::PasswordTooShort, &|request| request.password = password("short"));
    case(ProblemCode::PasswordTooLong, &|request| request.password = password(&"x".repeat(1_025)));
    case(ProblemCode::PasswordCommon, &|request| request.password = password("Password"));
    case(ProblemCode::DeviceListInvalid, &|request| request.device_list.0.0[20] ^= 1);
    case(ProblemCode::DeviceListInvalid, &|request| request.device_list.0.0.truncate(60));
    case(ProblemCode::DeviceListInvalid, &|request| request.device_list.0.0 = alice.renewed().list.encoded().to_vec());
    case(ProblemCode::DeviceListInvalid, &|request| request.device.device_id = 2);
    case(ProblemCode::DeviceListInvalid, &|request| request.device.device_id = 0);
    case(ProblemCode::SignedPrekeyInvalid, &|request| request.device.signed_prekey.id = 2);
    case(ProblemCode::SignedPrekeyInvalid, &|request| {
        request.device.signed_prekey = Device::new(alice.id(), 1).signed_prekey(1, server.now());
    });
    case(ProblemCode::SignedPrekeyExpired, &|request| {
        request.device.signed_prekey = alice.device.signed_prekey(1, server.now().saturating_sub(45 * DAY));
    });
    case(ProblemCode::SignedPrekeyExpired, &|request| {
        request.device.signed_prekey = alice.device.signed_prekey(1, server.now().saturating_add(HOUR + 1));
    });
    case(ProblemCode::OneTimePrekeysInvalid, &|request| request.device.one_time_prekeys = one_time_prekeys(1..=101));
    case(ProblemCode::OneTimePrekeysInvalid, &|request| request.device.one_time_prekeys[1].id = 1);
    case(ProblemCode::OneTimePrekeysInvalid, &|request| request.device.one_time_prekeys[0].id = 0);
    case(ProblemCode::SignatureInvalid, &|request| request.session.signature = B64(Signature::from_bytes([0; 64])));
    case(ProblemCode::SignatureInvalid, &|request| {
        request.session.session_id = B64(sealpost_api::ids::SessionId::from_bytes([9; 16]));
    });
    for (code, request) in &bad {
        server.post("/v1/accounts", "", request).await.refused(*code);
    }
    // Nothing of it was stored.
    assert_eq!(server.post("/v1/accounts", "", &good).await.status, 200);
}

#[tokio::test]
async fn a_closed_server_registers_nobody_and_an_invite_lets_one_in() {
    let closed = TestServer::start(Options { registration: RegistrationPolicy::Closed, ..Options::default() }).await;
    let info: ServerInfo = closed.call(Method::GET, "/v1/server", &[], Vec::new()).await.json();
    assert_eq!(info.registration, RegistrationPolicy::Closed);
    let request = Account::new("alice").register_request(&closed);
    closed.post("/v1/accounts", "", &request).await.refused(ProblemCode::RegistrationClosed);

    let server = TestServer::start(Options { registration: RegistrationPolicy::Invite, ..Options::default() }).await;
    let invite = server.services.issue_invite(DAY).await.unwrap();
    let mut request = Account::new("alice").register_request(&server);
    for wrong in [None, Some(String::new()), Some("wrong".to_owned()), Some("x".repeat(1_000))] {
        request.invite = wrong;
        server.post("/v1/accounts", "", &request).await.refused(ProblemCode::InviteInvalid);
    }
    request.invite = Some(invite.clone());
    assert_eq!(server.post("/v1/accounts", "", &request).await.status, 200);
    assert_eq!(server.post("/v1/accounts", "", &request).await.status, 200, "the same registration again");
    let mut second = Account::new("bob").register_request(&server);
    second.invite = Some(invite);
    server.post("/v1/accounts", "", &second).await.refused(ProblemCode::InviteInvalid);
    let late = server.services.issue_invite(DAY).await.unwrap();
    server.clock.advance(DAY + 1);
    let mut third = Account::new("carol").register_request(&server);
    third.invite = Some(late);
    server.post("/v1/accounts", "", &third).await.refused(ProblemCode::InviteInvalid);
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_its_name_stays_retired() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let wrong = DeleteAccountRequest { password: password("not the password") };
    server.post("/v1/account/delete", &alice.device.access, &wrong).await.refused(ProblemCode::PasswordWrong);
    let right = DeleteAccountRequest { password: password(PASSWORD) };
    let report: ErasureReport = server.post("/v1/account/delete", &alice.device.access, &right).await.json();
    assert_eq!((report.devices, report.device_lists, report.signed_prekeys, report.one_time_prekeys), (1, 1, 1, 30));
    assert_eq!(report.remains.len(), 2);
    server.get("/v1/account/export", &alice.device.access).await.refused(ProblemCode::Unauthenticated);
    server
        .post("/v1/accounts", "", &Account::new("alice").register_request(&server))
        .await
        .refused(ProblemCode::UsernameTaken);
    // Deleted, never there, and no name at all: the same answer but for its request id.
    let mut answers = Vec::new();
    for name in ["alice", "nobody", "1x", "%00"] {
        let mut problem = server.get(&format!("/v1/accounts/by-name/{name}"), &bob.device.access).await.problem();
        problem.request_id = None;
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let gone = server.get(&format!("/v1/accounts/{}/devices", path_id(alice.id())), &bob.device.access).await;
    gone.refused(ProblemCode::NotFound);
}
