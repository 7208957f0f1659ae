use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web;
use sealpost_api::problem::Problem;
use sealpost_server::base::config::TrustedProxies;
use sealpost_server::edge::http::{self, BODY_TIMEOUT, Http, HttpSettings};
use sealpost_server::edge::ws::OriginPolicy;
use sealpost_server::process::metrics::Metrics;
use sealpost_server::process::serve::serve_plain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Options, TestServer};

/// One answer: its head and its body, whose length is stated.
async fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return (head.to_lowercase(), body.as_bytes().to_vec());
            }
        }
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the connection ended without an answer after {text:?}");
        bytes.extend_from_slice(&chunk[..length]);
    }
}

#[tokio::test]
async fn threat_56_a_panic_ends_its_own_request_alone() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let base = TestServer::start(Options { metrics: metrics.clone(), ..Options::default() }).await;
    let settings = HttpSettings {
        tls: false,
        trusted_proxies: TrustedProxies::default(),
        body_timeout: BODY_TIMEOUT,
        origins: OriginPolicy::new(Vec::new()),
    };
    let shared = web::Data::new(Http::new(base.services.clone(), settings));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    async fn panicking() -> &'static str {
        panic!("injected")
    }
    // One worker, so that whatever the panic breaks is broken for everyone.
    let server =
        serve_plain(listener, 1, move || http::app(shared.clone()).route("/test/panic", web::get().to(panicking)))
            .unwrap();
    let handle = server.handle();
    tokio::spawn(server);

    let mut waiting = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    waiting.write_all(head.as_bytes()).await.unwrap();
    let mut unlucky = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        unlucky.write_all(b"GET /test/panic HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (head, body) = answer(&mut unlucky).await;
        assert!(head.starts_with("http/1.1 500 ") && head.contains("application/problem+json"), "{head}");
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code, "internal");
        assert!(head.contains(&format!("x-request-id: {}", problem.request_id.unwrap())), "{head}");
        assert!(head.contains("cache-control: no-store") && head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(!String::from_utf8(body).unwrap().contains("injected"));
    }
    // The next request on the same connection, and the one that was in hand on another, are answered.
    unlucky.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut unlucky).await.0.starts_with("http/1.1 200 "));
    waiting.write_all(b"}").await.unwrap();
    assert!(answer(&mut waiting).await.0.starts_with("http/1.1 400 "));
    let shown = metrics.render(0);
    assert!(shown.contains("sealpost_panics_total 3\n"), "{shown}");
    assert!(shown.contains("sealpost_problems_total{code=\"internal\"} 3\n"), "{shown}");
    handle.stop(false).await;
}
