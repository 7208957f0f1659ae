//! Connections that are kept: what follows a refusal, and what a stranger may leave in the log.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{Client, Io, World};

/// Far longer than an answer takes, and longer than a connection goes without a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// One whole answer; empty when the connection ended.
async fn answer(stream: &mut (impl Io + ?Sized)) -> String {
    let mut text = Vec::new();
    let read = async {
        while !text.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => text.push(byte),
                Err(_) => return String::new(),
            }
        }
        let head = String::from_utf8(text).unwrap().to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        head
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection hangs")
}

/// Sends the request and, if the answer does not say that it is the last, another; gives the first answer's head.
async fn then_another(client: &Client, head: &str, sent: usize, length: usize) -> String {
    let mut stream = client.tls().await.unwrap();
    let mut request = format!("{head}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    request.resize(request.len() + sent, b' ');
    stream.write_all(&request).await.unwrap();
    stream.flush().await.unwrap();
    let first = answer(&mut stream).await;
    if first.contains("connection: close\r\n") {
        assert_eq!(answer(&mut stream).await, "", "{head}: it said that it would close");
    } else {
        assert_eq!(sent, length, "{head}: kept, though the body is not there: {first}");
        stream.write_all(b"GET /v1/server HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let next = answer(&mut stream).await;
        assert!(next.starts_with("http/1.1 200 "), "{head}: {sent} of {length} sent, {first} and then {next:?}");
    }
    first
}

#[tokio::test]
async fn a_refusal_before_the_body_was_read_says_whether_another_request_may_follow() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    const JSON: &str = "\r\ncontent-type: application/json";
    let mut cases = Vec::new();
    for (status, head) in [
        (401, format!("POST /v1/prekeys HTTP/1.1{JSON}")),
        (401, format!("POST /v1/prekeys HTTP/1.1{JSON}\r\nauthorization: Bearer x")),
        (415, "POST /v1/sessions HTTP/1.1".to_owned()),
        (415, format!("POST /v1/sessions HTTP/1.1{JSON}\r\ncontent-encoding: gzip")),
        (404, "POST /v1/nothing HTTP/1.1".to_owned()),
        (405, "PATCH /v1/sessions HTTP/1.1".to_owned()),
    ] {
        for (sent, length) in [(0, 900), (500, 900), (900, 900), (0, 100_000), (100_000, 100_000)] {
            cases.push((status, head.clone(), sent, length));
        }
    }
    for sent in [0, 500, 1_000_000] {
        cases.push((413, format!("POST /v1/sessions HTTP/1.1{JSON}"), sent, 1_000_000));
    }
    join_all(cases.iter().map(async |(status, head, sent, length)| {
        let first = then_another(&client, head, *sent, *length).await;
        assert!(first.starts_with(&format!("http/1.1 {status} ")), "{head}: {first}");
    }))
    .await;
}

#[tokio::test]
async fn requests_that_cannot_be_read_leave_nothing_in_the_log_unless_they_are_asked_for() {
    let mut world = World::new();
    for (filter, silent) in [("", true), ("info", true), ("actix_http=warn", false)] {
        let flags = if filter.is_empty() { vec![] } else { vec!["--log", filter] };
        let flags = [&["--listen", "127.0.0.1:0"][..], &flags].concat();
        let server = world.start(&flags);
        let client = server.client();
        assert_eq!(client.get("/v1/server").await.0, 200);
        let before = server.log();
        for garbage in ["\u{0}\u{1}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"]
        {
            let mut stream = client.tls().await.unwrap();
            stream.write_all(garbage.as_bytes()).await.unwrap();
            assert!(answer(&mut stream).await.starts_with("http/1.1 400 "), "{garbage:?}");
            assert_eq!(answer(&mut stream).await, "");
        }
        let not_tls = tokio::net::TcpStream::connect(("127.0.0.1", client.port())).await;
        not_tls.unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(client.get("/v1/server").await.0, 200);
        assert_eq!(server.log() == before, silent, "{filter:?}: {}", server.log());
    }
}
