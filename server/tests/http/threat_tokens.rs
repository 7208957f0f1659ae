//! Bad access tokens: each is refused, everywhere, with the one answer that no token at all gets.

use hyper::Method;
use hyper::header::HeaderValue;
use sealpost_api::frames::ClientFrame;
use sealpost_api::password::AccessToken;

use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _};
use crate::server::{Essence, Options, Reply, TestServer};
use crate::socket::Socket;

mod forge;

use forge::Forge;

/// What a socket without a header got for its `Auth` frame: a frame or none, and the close code.
type Closed = (usize, Option<u16>);

/// The answer to a call, and to an upgrade.
async fn over_http(server: &TestServer, authorization: Option<&str>) -> [Essence; 2] {
    let authorization = authorization.map(|value| ("authorization", value));
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let call: Vec<_> = authorization.into_iter().collect();
    let stream: Vec<_> = upgrade.into_iter().chain(authorization).collect();
    let call = server.call(Method::GET, "/v1/sessions", &call, Vec::new()).await;
    [Reply::essence(&call), Reply::essence(&server.call(Method::GET, "/v1/stream", &stream, Vec::new()).await)]
}

/// The answer to a first frame on a socket that was opened without a header.
async fn in_frame(server: &TestServer, token: &str) -> Closed {
    let mut socket = Socket::open(server, None).await;
    socket.put(ClientFrame::Auth { token: AccessToken::new(token.to_owned()) }).await;
    match socket.next().await {
        Ok(_) => (1, None),
        Err(code) => (0, code),
    }
}

/// Presents every token wherever a token can be presented.
async fn assert_all_refused_alike(server: &TestServer, bad: &[(String, String)]) {
    // The signed garbage of an unknown key stands for "no good token"; a stream without any waits for its first frame.
    let expected = over_http(server, Some("Bearer x.y.z")).await;
    let without = server.call(Method::GET, "/v1/sessions", &[], Vec::new()).await;
    assert_eq!(Reply::essence(&without), expected[0]);
    assert_eq!((expected[0].0, expected[1].0), (401, 401));
    for (what, token) in bad {
        let header = format!("Bearer {token}");
        // What HTTP itself takes away, or cannot carry, says nothing about the token.
        if token.trim_end() == token && HeaderValue::from_str(&header).is_ok() {
            assert_eq!(over_http(server, Some(&header)).await, expected, "{what}: {token}");
        }
        assert_eq!(in_frame(server, token).await, (0, Some(4401)), "{what}: {token}");
    }
}

/// A server with two people, one of whom has a second device and a session that is over; the forge knows the server's key.
async fn world() -> (TestServer, Account, Device, Account, Forge) {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let phone = alice.add_device(&server, 2).await;
    let bob = Account::register(&server, "bob").await;
    let forge = Forge::of(&alice.device.access);
    // What is forged with nothing changed is good: each fault below is the only one.
    let unchanged = forge.signed(&forge.header.to_string(), &forge.claims.to_string());
    assert_eq!(server.get("/v1/sessions", &unchanged).await.status, 200);
    assert_eq!(in_frame(&server, &unchanged).await, (1, None), "a greeting");
    (server, alice, phone, bob, forge)
}

#[tokio::test]
async fn threat_35_of_200_tokens_with_a_bad_key_header_or_owner_none_is_accepted() {
    let (server, alice, phone, bob, forge) = world().await;
    let mut bad = forge.of_bad_form();
    bad.extend(forge.of_bad_algorithm());
    bad.extend(forge.of_bad_header());
    bad.extend(forge.of_bad_claims());
    bad.extend(forge.of_another(&alice.device.access, &phone.access, &bob.device.access));
    assert!(bad.len() >= 200, "{}", bad.len());
    assert_all_refused_alike(&server, &bad).await;
}

#[tokio::test]
async fn threat_36_no_time_of_another_type_or_range_is_accepted() {
    let (server, _, _, _, forge) = world().await;
    let bad = forge.of_bad_times(server.now().0 / 1_000);
    assert!(bad.len() >= 80, "{}", bad.len());
    assert_all_refused_alike(&server, &bad).await;
}

#[tokio::test]
async fn a_token_of_an_ended_session_gets_the_same_answer_as_a_forged_one() {
    let (server, mut alice, phone, _, _) = world().await;
    let mut bad = vec![("of an earlier login".to_owned(), alice.device.access.clone())];
    assert_eq!(alice.device.log_in(&server, "alice", crate::account::PASSWORD).await.status, 200);
    assert_eq!(server.delete("/v1/sessions/current", &phone.access).await.status, 200);
    bad.push(("logged out".to_owned(), phone.access));
    assert_all_refused_alike(&server, &bad).await;
}
