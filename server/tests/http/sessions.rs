use sealpost_api::encoding::{B64, RefreshToken};
use sealpost_api::ids::SessionId;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::{SessionGrant, SessionList, SessionsEnded};

use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, path_id, server_id};
use crate::server::{HOUR, MINUTE, Options, TestServer};

#[tokio::test]
async fn a_repeated_log_in_gets_the_first_answer_and_ends_the_devices_other_sessions() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let first = alice.device.access.clone();
    assert_eq!(alice.device.log_in(&server, "Alice", PASSWORD).await.status, 200);
    server.get("/v1/sessions", &first).await.refused(ProblemCode::Unauthenticated);
    let request = alice.device.login_request(server_id(&server), "alice", PASSWORD);
    let again: SessionGrant = server.post("/v1/sessions", "", &request).await.json();
    assert_eq!(again.session_id.0, alice.device.session);
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200);
    // The id of a session that went on is not taken for a new one.
    alice.device.refresh(&server).await;
    server.post("/v1/sessions", "", &request).await.refused(ProblemCode::SessionConflict);
}

#[tokio::test]
async fn logging_out_kills_the_token_at_once() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    server.clock.advance(1);
    let phone = alice.add_device(&server, 2).await;
    let list: SessionList = server.get("/v1/sessions", &alice.device.access).await.json();
    assert_eq!(
        list.sessions.iter().map(|session| (session.device_id, session.current)).collect::<Vec<_>>(),
        [(1, true), (2, false)]
    );
    let ended: SessionsEnded = server.delete("/v1/sessions/current", &phone.access).await.json();
    assert_eq!(ended.ended, 1);
    server.get("/v1/sessions", &phone.access).await.refused(ProblemCode::Unauthenticated);
    let list: SessionList = server.get("/v1/sessions", &alice.device.access).await.json();
    assert_eq!(list.sessions.len(), 1);
    let ended: SessionsEnded = server.delete("/v1/sessions", &alice.device.access).await.json();
    assert_eq!(ended.ended, 1);
    server.get("/v1/sessions", &alice.device.access).await.refused(ProblemCode::Unauthenticated);
    let request = alice.device.refresh_request(
        server_id(&server),
        &alice.device.refresh,
        RefreshToken::from_bytes([1; 32]).hash(),
    );
    server.post("/v1/sessions/refresh", "", &request).await.refused(ProblemCode::RefreshInvalid);
}

#[tokio::test]
async fn one_session_can_be_ended_but_not_another_accounts() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let phone = alice.add_device(&server, 2).await;
    let bob = Account::register(&server, "bob").await;
    let path = format!("/v1/sessions/{}", path_id(phone.session));
    let by_bob: SessionsEnded = server.delete(&path, &bob.device.access).await.json();
    let unknown: SessionsEnded = server
        .delete(&format!("/v1/sessions/{}", path_id(SessionId::from_bytes([0; 16]))), &bob.device.access)
        .await
        .json();
    assert_eq!((by_bob.ended, unknown.ended), (0, 0));
    assert_eq!(server.get("/v1/sessions", &phone.access).await.status, 200);
    let by_alice: SessionsEnded = server.delete(&path, &alice.device.access).await.json();
    let again: SessionsEnded = server.delete(&path, &alice.device.access).await.json();
    assert_eq!((by_alice.ended, again.ended), (1, 0));
    server.get("/v1/sessions", &phone.access).await.refused(ProblemCode::Unauthenticated);
    server.delete("/v1/sessions/not-an-id", &alice.device.access).await.refused(ProblemCode::MalformedRequest);
}

#[tokio::test]
async fn access_tokens_expire_after_ten_minutes_and_refreshing_goes_on() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    server.clock.advance(10 * MINUTE);
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200, "within the leeway");
    server.clock.advance(5_000);
    server.get("/v1/sessions", &alice.device.access).await.refused(ProblemCode::Unauthenticated);
    for _ in 0..3 {
        alice.device.refresh(&server).await;
        assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200);
    }
}

#[tokio::test]
async fn a_refresh_reply_lost_an_hour_ago_locks_nobody_out() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let (old, next) = (alice.device.refresh.clone(), RefreshToken::from_bytes([8; 32]));
    let request = alice.device.refresh_request(server_id(&server), &old, next.hash());
    assert_eq!(server.post("/v1/sessions/refresh", "", &request).await.status, 200);
    server.clock.advance(HOUR);
    let grant: SessionGrant = server.post("/v1/sessions/refresh", "", &request).await.json();
    assert_eq!(server.get("/v1/sessions", grant.access_token.reveal()).await.status, 200);
    let onwards = alice.device.refresh_request(server_id(&server), &next, RefreshToken::from_bytes([9; 32]).hash());
    assert_eq!(server.post("/v1/sessions/refresh", "", &onwards).await.status, 200);
}

#[tokio::test]
async fn a_spent_refresh_token_with_a_valid_signature_ends_the_session() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let spent = alice.device.refresh.clone();
    alice.device.refresh(&server).await;
    let access = alice.device.access.clone();
    let reuse = alice.device.refresh_request(server_id(&server), &spent, RefreshToken::from_bytes([9; 32]).hash());
    server.post("/v1/sessions/refresh", "", &reuse).await.refused(ProblemCode::SessionEnded);
    server.get("/v1/sessions", &access).await.refused(ProblemCode::Unauthenticated);
    let owner = alice.device.refresh_request(
        server_id(&server),
        &alice.device.refresh,
        RefreshToken::from_bytes([3; 32]).hash(),
    );
    server.post("/v1/sessions/refresh", "", &owner).await.refused(ProblemCode::RefreshInvalid);
    assert_eq!(alice.device.log_in(&server, "alice", PASSWORD).await.status, 200, "the owner logs in again");
}

#[tokio::test]
async fn a_refresh_without_the_devices_signature_changes_nothing() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let thief = Device::new(alice.id(), 1);
    let next = RefreshToken::from_bytes([9; 32]).hash();
    let spent = alice.device.refresh.clone();
    alice.device.refresh(&server).await;
    for token in [&spent, &alice.device.refresh] {
        let mut stolen = thief.refresh_request(server_id(&server), token, next);
        stolen.session_id = B64(alice.device.session);
        server.post("/v1/sessions/refresh", "", &stolen).await.refused(ProblemCode::RefreshInvalid);
        let mut altered = alice.device.refresh_request(server_id(&server), token, next);
        altered.next_hash = B64(RefreshToken::from_bytes([7; 32]).hash());
        server.post("/v1/sessions/refresh", "", &altered).await.refused(ProblemCode::RefreshInvalid);
    }
    assert_eq!(server.get("/v1/sessions", &alice.device.access).await.status, 200);
    alice.device.refresh(&server).await;
}

#[tokio::test]
async fn a_refresh_token_cannot_succeed_itself() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let itself = alice.device.refresh.hash();
    let request = alice.device.refresh_request(server_id(&server), &alice.device.refresh, itself);
    server.post("/v1/sessions/refresh", "", &request).await.refused(ProblemCode::RefreshInvalid);
    alice.device.refresh(&server).await;
}

#[tokio::test]
async fn every_bad_authorization_header_is_the_same_401() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let token = &alice.device.access;
    let (bearer, basic) = (format!("Bearer {token}"), format!("Basic {token}"));
    let (padded, doubled) = (format!("Bearer  {token}"), format!("Bearer {token} {token}"));
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", &basic)],
        &[("authorization", &padded)],
        &[("authorization", &doubled)],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("cookie", &bearer)],
    ];
    for headers in cases {
        let reply = server.call(hyper::Method::GET, "/v1/sessions", headers, Vec::new()).await;
        reply.refused(ProblemCode::Unauthenticated);
    }
    let in_query =
        server.call(hyper::Method::GET, &format!("/v1/sessions?access_token={token}"), &[], Vec::new()).await;
    in_query.refused(ProblemCode::Unauthenticated);
}
