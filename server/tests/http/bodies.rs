use std::time::{Duration, Instant};

use hyper::Method;
use sealpost_api::problem::ProblemCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::account::{Account, AccountCalls as _, DeviceCalls as _, PASSWORD};
use crate::server::{Options, TestServer};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test]
async fn a_body_is_plain_json_with_each_known_field_once() {
    let server = TestServer::start(Options::default()).await;
    let good = serde_json::to_string(&Account::new("alice").register_request(&server)).unwrap();
    let value: Value = serde_json::from_str(&good).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = value.clone();
        change(&mut value);
        value.to_string()
    };
    let bad = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        good.clone() + "x",
        good[..good.len() - 1].to_owned(),
        good.replacen('{', "{\"username\":\"alice\",", 1),
        with(&|body| body["admin"] = true.into()),
        with(&|body| body["device"]["admin"] = true.into()),
        with(&|body| body["session"]["generation"] = 9.into()),
        with(&|body| drop(body.as_object_mut().unwrap().remove("device"))),
        with(&|body| body["username"] = 1.into()),
        with(&|body| body["username"] = serde_json::json!({"$gt": ""})),
        with(&|body| body["password"] = Value::Null),
        with(&|body| body["device_list"] = "not base64 at all!".into()),
        with(&|body| body["device_list"] = "A".repeat(2_000).into()),
        with(&|body| body["session"]["session_id"] = "AAAA".into()),
        with(&|body| body["session"]["session_id"] = "AAAAAAAAAAAAAAAAAAAAAA==".into()),
        with(&|body| body["session"]["session_id"] = "AAAAAAAAAAAAAAAAAAAAAB".into()),
        with(&|body| body["device"]["device_id"] = 256.into()),
        with(&|body| body["device"]["device_id"] = (-1).into()),
        with(&|body| body["device"]["signed_prekey"]["key"] = "A".repeat(43).into()),
        with(&|body| body["device"]["signed_prekey"]["expires_at"] = 1e300.into()),
        format!("{{\"x\":{}", "[".repeat(100_000)),
        format!("{{{}\"x\":1}}", "\"x\":1,".repeat(18_000)),
    ];
    for body in bad {
        let started = Instant::now();
        let reply = server.call(Method::POST, "/v1/accounts", JSON, body.clone().into_bytes()).await;
        reply.refused(ProblemCode::MalformedBody);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[20] = 0xff;
    server.call(Method::POST, "/v1/accounts", JSON, not_utf8).await.refused(ProblemCode::MalformedBody);
    assert_eq!(server.call(Method::POST, "/v1/accounts", JSON, good.into_bytes()).await.status, 200);
}

#[tokio::test]
async fn threat_51_a_json_bomb_costs_no_more_than_an_honest_body_of_its_length() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    alice.device.log_in(&server, "alice", PASSWORD).await;
    let call = async |body: &[u8]| {
        let mut times = Vec::new();
        let mut code = String::new();
        for _ in 0..5 {
            let bearer = format!("Bearer {}", alice.device.access);
            let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
            let started = Instant::now();
            let reply = server.call(Method::PUT, "/v1/account/devices", &headers, body.to_vec()).await;
            times.push(started.elapsed());
            code = reply.problem().code;
        }
        times.sort();
        (times[2], code)
    };
    let most = 128 * 1024;
    let padded = |text: &str| [text.as_bytes(), &vec![b' '; most - text.len()]].concat();
    // Read to its last byte, and then refused for what it says.
    let (honest, code) = call(&padded("{\"device_list\":\"AAAA\",\"added\":[]}")).await;
    assert_eq!(code, "device_list_invalid");
    let list = |text: &str| format!("{{\"device_list\":\"AAAA\",\"added\":{text}");
    for bomb in [
        "[".repeat(100_000),
        list(&"[".repeat(100_000)),
        list(&"[{\"one_time_prekeys\":".repeat(5_000)),
        list(&format!("[{}]}}", "{},".repeat(40_000))),
        list(&format!("[{}1]}}", "1,".repeat(60_000))),
        list(&"9".repeat(120_000)),
        list(&format!("1e{}", "9".repeat(120_000))),
        list(&format!("\"{}", "\\u0041".repeat(20_000))),
        format!("{{\"x\":{}", "{\"a\":".repeat(20_000)),
        format!("{{{}\"x\":1}}", "\"x\":1,".repeat(18_000)),
        "{\"device_list\":\"AAAA\",\"device_list\":\"AAAA\",\"added\":[]}".to_owned(),
        list(&format!("[],{}\"z\":1}}", (0..10_000).map(|key| format!("\"k{key}\":1,")).collect::<String>())),
    ] {
        assert!(bomb.len() <= most);
        let (time, code) = call(&padded(&bomb)).await;
        let begin: String = bomb.chars().take(60).collect();
        assert_eq!(code, "malformed_body", "{begin}");
        assert!(time < honest * 10 + Duration::from_millis(100), "{begin}: {time:?}, an honest body {honest:?}");
    }
    let mut not_utf8 = padded("{\"device_list\":\"AAAA\",\"added\":[]}");
    not_utf8[18] = 0xff;
    assert_eq!(call(&not_utf8).await.1, "malformed_body");
    // 10⁵ keys, and a body of the limit and one byte, are not read at all.
    let keys: String = (0..100_000).map(|key| format!("\"k{key}\":1,")).collect();
    assert_eq!(call(format!("{{{keys}\"x\":1}}").as_bytes()).await.1, "body_too_large");
    assert_eq!(call(&vec![b' '; most + 1]).await.1, "body_too_large");
}

#[tokio::test]
async fn nothing_typed_comes_back_in_an_error() {
    let server = TestServer::start(Options::default()).await;
    let body = r#"{"canary-7f3a":"canary-7f3a"}"#.as_bytes().to_vec();
    let reply = server.call(Method::POST, "/v1/sessions?canary-7f3a", JSON, body).await;
    reply.refused(ProblemCode::MalformedBody);
    assert!(!String::from_utf8(reply.body).unwrap().contains("canary"));
}

#[tokio::test]
async fn a_body_above_128_kib_is_refused_whether_or_not_it_says_so() {
    let server = TestServer::start(Options::default()).await;
    let body = vec![b' '; 128 * 1024 + 1];
    server.call(Method::POST, "/v1/accounts", JSON, body).await.refused(ProblemCode::BodyTooLarge);
    server.call(Method::POST, "/v1/accounts", JSON, vec![b' '; 128 * 1024]).await.refused(ProblemCode::MalformedBody);
}

#[tokio::test]
async fn a_body_whose_length_is_not_stated_is_refused_and_ends_the_connection() {
    let server = TestServer::start(Options::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Ends only when the server closes: it is cut off although its body never ends.
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        let mut bytes = [0; 4_096];
        loop {
            // The server may have closed already.
            let _cut = stream.write_all(b"1\r\nx\r\n").await;
            match tokio::time::timeout(Duration::from_millis(50), stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(length)) => answer.extend_from_slice(&bytes[..length]),
                Err(_) => {}
            }
        }
    });
    ended.await.expect("the connection stays open for a body without an end");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("malformed_request"), "{answer}");
}

#[tokio::test]
async fn only_json_without_encoding_is_read() {
    let server = TestServer::start(Options::default()).await;
    let cases: [&[(&str, &str)]; 7] = [
        &[],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json"), ("content-type", "text/plain")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
        &[("content-type", "application/json"), ("content-encoding", "identity")],
    ];
    for headers in cases {
        let reply = server.call(Method::POST, "/v1/accounts", headers, b"{}".to_vec()).await;
        reply.refused(ProblemCode::UnsupportedMediaType);
    }
}

#[tokio::test]
async fn a_slow_body_is_cut() {
    let server = TestServer::start(Options { body_timeout: Duration::from_millis(300), ..Options::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let length = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
}
