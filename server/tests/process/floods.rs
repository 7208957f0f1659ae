use std::process::Command;

use sealpost_api::close;
use sealpost_api::frames::ServerFrame;
use sealpost_api::limits::FRAME_MAX_BYTES;

use super::world::{World, exchange};

/// What a server may grow by while it refuses something: the debris of a few requests, and nothing like what was sent.
const FLAT: u64 = 16 * 1024 * 1024;
/// RFC 6455 *message too big*.
const TOO_BIG: Option<u16> = Some(1009);
const LIMIT: u64 = FRAME_MAX_BYTES as u64;

/// The head of a masked binary frame, with a mask of zeroes.
fn head(length: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

#[tokio::test]
async fn threat_48_a_frame_over_the_limit_is_refused_by_its_head_and_none_of_it_is_kept() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    let person = client.register("alice", "correct horse battery").await;
    let mut socket = client.connect(&person).await;
    let before = server.memory().0;
    for length in [LIMIT + 1, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX] {
        assert!(socket.raw(&head(length)).await);
        assert_eq!(socket.closed().await, TOO_BIG, "{length}");
        socket = client.connect(&person).await;
    }
    // The server drops what a peer sends after the stream has ended.
    let payload = vec![0; 1024 * 1024];
    let mut sent = vec![socket.raw(&head(1 << 40)).await];
    while sent.len() < 64 && sent.last() == Some(&true) {
        sent.push(socket.raw(&payload).await);
    }
    let grown = server.memory().0.saturating_sub(before);
    assert!(grown < FLAT, "{grown} bytes");
    // A frame of the limit is read whole; what is in it is no frame of ours.
    let mut socket = client.connect(&person).await;
    assert!(socket.raw(&head(LIMIT)).await && socket.raw(&payload).await);
    while !matches!(socket.frame().await, ServerFrame::Error { close: true, .. }) {}
    assert_eq!(socket.closed().await, Some(close::PROTOCOL));
}

#[tokio::test]
async fn threat_48_a_message_has_an_end_in_size_and_in_fragments() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    let person = client.register("alice", "correct horse battery").await;
    let before = server.memory().0;
    let (first, next) = ([0x02, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]);
    let mut socket = client.connect(&person).await;
    let _closed = socket.raw(&[&first[..], &next.repeat(100)].concat()).await;
    assert_eq!(socket.closed().await, TOO_BIG, "101 empty fragments");

    // Ten times a hundred thousand of them: the socket is gone long before.
    let mut socket = client.connect(&person).await;
    let _closed = socket.raw(&first).await;
    let many = next.repeat(100_000);
    for _ in 0..10 {
        let _closed = socket.raw(&many).await;
    }
    socket.closed().await;

    // Fragments that are each allowed, and together are not.
    let mut socket = client.connect(&person).await;
    let mut half = head(LIMIT / 2 + 1);
    half.resize(half.len() + FRAME_MAX_BYTES / 2 + 1, 0);
    for opcode in [0x02, 0x00] {
        half[0] = opcode;
        let _closed = socket.raw(&half).await;
    }
    assert_eq!(socket.closed().await, TOO_BIG);
    let grown = server.memory().0.saturating_sub(before);
    assert!(grown < FLAT, "{grown} bytes");
}

#[tokio::test]
async fn threat_50_compression_is_neither_negotiated_nor_undone() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    let person = client.register("alice", "correct horse battery").await;
    let offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame")];
    let mut socket = client.upgrade(&person, Box::new(client.tls().await.unwrap()), &offer).await;
    assert!(matches!(socket.frame().await, ServerFrame::Welcome(_)));
    // The first reserved bit says that a message is compressed.
    let _closed = socket.raw(&[0xc2, 0x80, 0, 0, 0, 0]).await;
    assert_eq!(socket.closed().await, Some(1002));

    let bomb = Command::new("sh").args(["-c", "head -c 100M /dev/zero | gzip -9"]).output().unwrap().stdout;
    assert!(bomb.len() > 50_000 && bomb.len() < 128 * 1024, "small enough to be read: {}", bomb.len());
    let before = server.memory().0;
    for coding in ["gzip", "GZIP", "x-gzip", "gzip, gzip", "deflate", "br", "zstd", "identity"] {
        let head = format!(
            "POST /v1/accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            bomb.len()
        );
        let request = [head.as_bytes(), &bomb].concat();
        assert_eq!(exchange(client.tls().await.unwrap(), &request).await.0, 415, "{coding}");
    }
    let grown = server.memory().0.saturating_sub(before);
    assert!(grown < FLAT, "{grown} bytes");
}
