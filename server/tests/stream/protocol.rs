use std::time::Duration;

use bytes::Bytes;
use sealpost_api::close;
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::limits::FRAME_MAX_BYTES;
use sealpost_api::problem::ProblemCode;
use sealpost_server::service::stream::StreamSettings;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::world::{Options, World, eventually, text};

/// RFC 6455 *message too big*.
const TOO_BIG: Option<u16> = Some(1009);

#[actix_web::test]
async fn a_browser_authenticates_by_its_first_frame() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut socket = world.try_socket(&[("origin", "https://chat.example")]).await.unwrap();
    socket.put(ClientFrame::Auth { token: world.renew(&bob.devices[0]) }).await;
    assert!(matches!(socket.frame().await, ServerFrame::Welcome(_)));
}

#[actix_web::test]
async fn anything_but_auth_as_the_first_frame_ends_the_socket() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    for frame in [ClientFrame::Ping { nonce: 1 }, ClientFrame::Send(text(1, &bob, "x"))] {
        let mut socket = world.try_socket(&[]).await.unwrap();
        socket.put(frame).await;
        assert_eq!(socket.closed().await, Some(close::UNAUTHENTICATED));
    }
}

#[actix_web::test]
async fn who_does_not_authenticate_in_time_is_dropped() {
    let stream = StreamSettings { auth_timeout: Duration::from_millis(100), ..StreamSettings::default() };
    let world = World::start_with(Options { stream, ..Options::default() }).await;
    let mut socket = world.try_socket(&[]).await.unwrap();
    assert_eq!(socket.closed().await, Some(close::UNAUTHENTICATED));
}

#[actix_web::test]
async fn a_bad_token_is_a_plain_401_before_the_upgrade() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let token = &bob.devices[0].token;
    for value in ["Bearer nonsense", "Bearer ", "Basic YTpi", token.as_str()] {
        assert_eq!(world.try_socket(&[("authorization", value)]).await.err(), Some(401), "{value}");
    }
    let good = format!("Bearer {token}");
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(world.try_socket(&twice).await.err(), Some(401));
}

/// Whatever a browser could be made to send, and what only looks like `https://chat.example`.
const FOREIGN_ORIGINS: [&str; 31] = [
    "null",
    "",
    "*",
    "https://evil.example",
    "https://chat.example.evil",
    "https://chat.example.evil.example",
    "https://evil.example/https://chat.example",
    "https://evil.example?https://chat.example",
    "https://evil.example#https://chat.example",
    "https://evilchat.example",
    "https://evil-chat.example",
    "https://sub.chat.example",
    "https://chat.exampl",
    "https://chat.examplee",
    "https://example",
    "https://chat.example:443",
    "https://chat.example:8443",
    "https://chat.example:",
    "http://chat.example",
    "wss://chat.example",
    "https://Chat.example",
    "HTTPS://chat.example",
    "https://chat.example/",
    "https://chat.example.",
    "https://user@chat.example",
    "https://chat.example@evil.example",
    "https://user:pass@chat.example",
    "https://xn--cht-5na.example",
    "https://ch\u{e4}t.example",
    "https://chat.example https://chat.example",
    "chat.example",
];

#[actix_web::test]
async fn threat_40_a_page_that_is_not_listed_opens_no_stream_even_with_a_token() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let good = format!("Bearer {}", bob.devices[0].token);
    for origin in FOREIGN_ORIGINS {
        let headers = [("authorization", good.as_str()), ("origin", origin)];
        assert_eq!(world.try_socket(&headers).await.err(), Some(403), "{origin}");
    }
    let listed = ("origin", "https://chat.example");
    let twice = [("authorization", good.as_str()), listed, listed];
    assert_eq!(world.try_socket(&twice).await.err(), Some(403));
    let mut socket = world.try_socket(&twice[..2]).await.unwrap();
    assert!(matches!(socket.frame().await, ServerFrame::Welcome(_)));
}

#[actix_web::test]
async fn a_peer_that_says_goodbye_is_answered() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    socket.raw(Message::Close(None)).await;
    assert_eq!(socket.closed().await, Some(1000));
    eventually(async || world.core().hub.connections() == 0).await;
}

#[actix_web::test]
async fn garbage_and_text_end_the_socket_with_the_protocols_code() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    for message in [Message::Binary(Bytes::from_static(&[0xff; 9])), Message::Binary(Bytes::new())] {
        let mut socket = world.online(&bob.devices[0]).await;
        socket.raw(message).await;
        assert!(matches!(
            socket.frame().await,
            ServerFrame::Error { code: ProblemCode::MalformedFrame, close: true, .. }
        ));
        assert_eq!(socket.closed().await, Some(close::PROTOCOL));
    }
    let mut socket = world.online(&bob.devices[0]).await;
    socket.raw(Message::Text("hello".into())).await;
    assert_eq!(socket.closed().await, Some(close::PROTOCOL));
}

#[actix_web::test]
async fn a_message_over_the_limit_ends_the_socket_whole_or_in_parts() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    socket.raw(Message::Binary(vec![0; FRAME_MAX_BYTES + 1].into())).await;
    assert_eq!(socket.closed().await, TOO_BIG);

    let mut socket = world.online(&bob.devices[0]).await;
    let part = vec![0; FRAME_MAX_BYTES / 2 + 1];
    socket.raw(Message::Frame(Frame::message(part.clone(), OpCode::Data(Data::Binary), false))).await;
    socket.raw(Message::Frame(Frame::message(part, OpCode::Data(Data::Continue), true))).await;
    assert_eq!(socket.closed().await, TOO_BIG);
}

#[actix_web::test]
async fn a_message_in_a_few_parts_is_one_message_and_endless_empty_parts_are_refused() {
    let world = World::start().await;
    let bob = world.person("bob").await;
    let mut socket = world.online(&bob.devices[0]).await;
    let whole = ClientFrame::Ping { nonce: 5 }.encode();
    let (head, tail) = whole.split_at(1);
    socket.raw(Message::Frame(Frame::message(head.to_vec(), OpCode::Data(Data::Binary), false))).await;
    socket.raw(Message::Frame(Frame::message(tail.to_vec(), OpCode::Data(Data::Continue), true))).await;
    assert_eq!(socket.frame().await, ServerFrame::Pong { nonce: 5 });

    socket.raw(Message::Frame(Frame::message(Bytes::new(), OpCode::Data(Data::Binary), false))).await;
    for _ in 0..200 {
        socket.raw(Message::Frame(Frame::message(Bytes::new(), OpCode::Data(Data::Continue), false))).await;
    }
    assert_eq!(socket.closed().await, TOO_BIG);
}
