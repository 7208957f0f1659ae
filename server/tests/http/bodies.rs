use std::time::{Duration, Instant};

use hyper::Method;
use sealpost_api::problem::ProblemCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::account::Account;
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
    // Chunked: no length is announced.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"8000\r\n".as_slice(), &[b' '; 0x8000], b"\r\n"].concat();
    for _ in 0..5 {
        // The server may have answered and closed already.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
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
