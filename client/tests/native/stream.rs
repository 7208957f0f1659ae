use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sealpost_client::native::stream::{ConnectError, Received, connect};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::server::{Authority, answer, connector, read_request, start};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn frames_go_both_ways_and_the_close_code_is_told() {
    let authority = Authority::new(&["localhost"]);
    let (address, _) = start(&authority, |_, stream| async move {
        let mut socket = accept_async(stream).await.unwrap();
        let Some(Ok(Message::Binary(frame))) = socket.next().await else { panic!("a frame was sent") };
        socket.send(Message::Text("not ours".into())).await.unwrap();
        socket.send(Message::Binary(frame)).await.unwrap();
        let close = CloseFrame { code: 4409.into(), reason: "".into() };
        socket.send(Message::Close(Some(close))).await.unwrap();
        while socket.next().await.is_some() {}
    })
    .await;
    let (mut sender, mut receiver) =
        connect(&connector(address, &authority.trust()), Some("token"), PATIENCE).await.unwrap();
    sender.send(Bytes::from_static(b"frame")).await.unwrap();
    assert_eq!(receiver.next().await, Received::Frame(Bytes::from_static(b"frame")));
    assert_eq!(receiver.next().await, Received::Closed { code: Some(4409) });
}

#[tokio::test]
async fn a_refusal_tells_status_and_problem() {
    let authority = Authority::new(&["localhost"]);
    let (address, _) = start(&authority, |_, mut stream| async move {
        let request = read_request(&mut stream).await.unwrap().to_ascii_lowercase();
        assert!(request.contains("authorization: bearer token"), "{request}");
        answer(&mut stream, "401 Unauthorized", "{\"code\":\"unauthenticated\"}").await;
    })
    .await;
    match connect(&connector(address, &authority.trust()), Some("token"), PATIENCE).await {
        Err(ConnectError::Refused { status: 401, body, .. }) => assert!(body.starts_with(b"{\"code\"")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_the_stream() {
    let authority = Authority::new(&["localhost"]);
    let (address, _) = start(&authority, |_, stream| async move {
        let mut socket = accept_async(stream).await.unwrap();
        let _ = socket.send(Message::Binary(vec![0; 2 * 1024 * 1024].into())).await;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    })
    .await;
    let (_sender, mut receiver) = connect(&connector(address, &authority.trust()), None, PATIENCE).await.unwrap();
    assert_eq!(receiver.next().await, Received::Closed { code: None });
}
