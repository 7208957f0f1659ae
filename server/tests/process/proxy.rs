use std::fs;

use super::nginx::{Proxied, connect_from, raw};

/// What a second request would ask for, hidden in the first.
const HIDDEN: &str = "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";

/// A POST to a JSON route with these further header lines and this body.
fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
}

/// Requests whose end two readers may see at different places, or that no reader should take.
fn ambiguous() -> Vec<(&'static str, String)> {
    let hidden_chunk = format!("0\r\n\r\n{HIDDEN}");
    let length = hidden_chunk.len();
    let mut corpus = vec![
        ("CL.TE", post(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &hidden_chunk)),
        (
            "TE.CL",
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
            ),
        ),
        ("CL.0 and chunked", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", &hidden_chunk)),
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 44\r\n", HIDDEN)),
        ("two equal lengths", post("Content-Length: 0\r\nContent-Length: 0\r\n", HIDDEN)),
        ("a list of lengths", post("Content-Length: 0, 44\r\n", HIDDEN)),
        ("a signed length", post("Content-Length: +0\r\n", HIDDEN)),
        ("a negative length", post("Content-Length: -1\r\n", HIDDEN)),
        ("a hexadecimal length", post("Content-Length: 0x0\r\n", HIDDEN)),
        ("a length beyond 64 bits", post("Content-Length: 18446744073709551616\r\n", HIDDEN)),
        ("a folded length", post("Content-Length:\r\n 0\r\n", HIDDEN)),
        ("a folded header", post("X-Folded: a\r\n b\r\nContent-Length: 0\r\n", HIDDEN)),
        ("a name before a space", post("Content-Length : 0\r\n", HIDDEN)),
        (
            "a chunked body of HTTP/1.0",
            post("Transfer-Encoding: chunked\r\n", &hidden_chunk).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        ("two hosts", post("Host: y\r\nContent-Length: 0\r\n", HIDDEN)),
        ("no host", format!("POST /v1/sessions HTTP/1.1\r\nContent-Length: 0\r\n\r\n{HIDDEN}")),
        ("a null byte", post("X-Null: a\0b\r\nContent-Length: 0\r\n", HIDDEN)),
        // nginx drops the line, and what it passes on has one meaning.
        ("no colon", post(&format!("Content-Length: {}\r\nno colon here\r\n", HIDDEN.len()), HIDDEN)),
        ("another protocol", post("Content-Length: 0\r\n", HIDDEN).replacen("HTTP/1.1", "HTTP/2.0", 1)),
        (
            "a space in the target",
            format!("POST /v1/ses sions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n{HIDDEN}"),
        ),
    ];
    for coding in [
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked chunked",
        "\u{b}chunked",
        "gzip, chunked",
    ] {
        corpus.push(("a strange coding", post(&format!("Transfer-Encoding: {coding}\r\n"), &hidden_chunk)));
    }
    corpus.push(("TE.TE", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &hidden_chunk)));
    corpus.push((
        "TE.TE, the other way",
        post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", &hidden_chunk),
    ));
    corpus.push(("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", &hidden_chunk)));
    corpus.push(("a coding before a space", post("Transfer-Encoding : chunked\r\n", &hidden_chunk)));
    let size = format!("{:x}", HIDDEN.len());
    for first in [
        format!("0x{size}"),
        format!("+{size}"),
        format!("-{size}"),
        format!("{size} {size}"),
        format!("{size};a=\"\r\n"),
        format!("{size};\n"),
        format!("{size}\n"),
        "ffffffffffffffff0".to_owned(),
        "10000000000000000".to_owned(),
        String::new(),
        ";".to_owned(),
        size.clone(),
    ] {
        let body = format!("{first}\r\n{HIDDEN}\r\n0\r\n\r\n");
        corpus.push(("a strange chunk", post("Transfer-Encoding: chunked\r\n", &body)));
    }
    corpus
}

#[tokio::test]
async fn threat_53_no_request_hides_in_another() {
    let proxied = Proxied::start(&["--log", "sealpost_server=debug"], |text| text);
    let mut refused_by_both = 0;
    for (name, request) in ambiguous() {
        let (direct, closed) =
            raw(connect_from([127, 0, 0, 1], proxied.server_address()).await, request.as_bytes()).await;
        assert!(direct.starts_with("HTTP/1.1 400 "), "{name}, directly: {direct:?}\n{request:?}");
        assert_eq!((direct.matches("HTTP/1.1 ").count(), closed), (1, true), "{name}: it goes on after {direct:?}");
        let (through, _) = raw(proxied.client().tls().await.unwrap(), request.as_bytes()).await;
        let status = through.split(' ').nth(1).unwrap_or_default().to_owned();
        // What nginx makes one request of is one request for the server too, and refused there for what it is.
        assert!(
            ["400", "415", "501", "505", "413"].contains(&status.as_str()),
            "{name}, through nginx: {through:?}\n{request:?}"
        );
        refused_by_both += u32::from(status == "400");
        // The server may answer before it has written its line; a whole round trip later it has.
        assert_eq!(proxied.client().get("/healthz").await.0, 200);
        let log = proxied.server.log();
        assert!(log.contains("/healthz"), "requests are logged: {log}");
        assert!(!log.contains("/v1/openapi.json"), "{name}: the hidden request reached its handler\n{request:?}");
    }
    assert!(refused_by_both > 20, "{refused_by_both}");
}

fn from(address: u8, forged: u8) -> String {
    format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 198.51.100.{forged}\r\n\
         X-Forwarded-For: 203.0.113.{forged}, 198.51.100.{forged}\r\nForwarded: for=198.51.100.{forged}\r\n\
         X-Real-IP: 198.51.100.{forged}\r\nX-Case: {address}\r\n\r\n"
    )
}

fn status(answer: (String, bool)) -> u16 {
    answer.0.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn threat_54_a_forged_client_address_evades_no_limit() {
    let limits = tempfile::NamedTempFile::new().unwrap();
    fs::write(limits.path(), "[limits.requests_address]\nburst = 5\ntokens = 1\nper_seconds = 86400\n").unwrap();
    let proxied = Proxied::start(&["--config", limits.path().to_str().unwrap()], |text| text);
    let client = proxied.client();
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for forged in 1..=8 {
        // A peer that is no proxy of ours, straight at the server.
        let stream = connect_from([127, 0, 0, 2], proxied.server_address()).await;
        direct.push(status(raw(stream, from(2, forged).as_bytes()).await));
        // Somebody else, through nginx.
        let stream = client.tls_on(connect_from([127, 0, 0, 3], proxied.proxy_address()).await).await.unwrap();
        through.push(status(raw(stream, from(3, forged).as_bytes()).await));
    }
    assert_eq!(direct, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(through, [200, 200, 200, 200, 200, 429, 429, 429]);
    // Each had its own count, and so has a third one.
    let stream = client.tls_on(connect_from([127, 0, 0, 4], proxied.proxy_address()).await).await.unwrap();
    assert_eq!(status(raw(stream, from(4, 9).as_bytes()).await), 200);
}

#[tokio::test]
async fn people_talk_through_nginx() {
    let limits = tempfile::NamedTempFile::new().unwrap();
    fs::write(limits.path(), "registration = 'open'\n").unwrap();
    let proxied = Proxied::start(&["--config", limits.path().to_str().unwrap()], |text| text);
    let client = proxied.client();
    let alice = client.register("alice", "correct horse battery").await;
    let bob = client.register("bob", "correct horse battery").await;
    let (mut from_alice, mut to_bob) = (client.connect(&alice).await, client.connect(&bob).await);
    from_alice.send(1, &bob, "hello").await;
    let delivered = loop {
        if let sealpost_api::frames::ServerFrame::Deliver(deliver) = to_bob.frame().await {
            break deliver;
        }
    };
    assert_eq!(delivered.ciphertext.as_ref(), b"hello");
    let log = proxied.nginx_log();
    for typed in ["alice", "v1/", "127.0.0.1", "Bearer"] {
        assert!(!log.contains(typed), "{typed} is in nginx's log:\n{log}");
    }
}
