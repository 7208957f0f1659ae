//! Requests, each wrong in some way.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};
use serde_json::Value;

use super::identity::Identity;
use super::schema::{Api, Operation};

/// A request as bytes.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    /// Whether the answer has no body, because the request is a HEAD.
    pub(super) bodiless: bool,
    /// Whether the request ends where it says, so that another can follow on the connection.
    pub(super) well_framed: bool,
    /// Whether it carries the account's access token and nothing that contradicts it.
    pub(super) authenticated: bool,
}

/// Texts that have broken other programs.
const TEXTS: [&str; 12] = [
    "",
    "\u{0}",
    "\u{feff}",
    "\u{202e}gnirts",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "a\u{301}\u{301}\u{301}\u{301}",
    "'; DROP TABLE accounts; --",
    "{\"$gt\":\"\"}",
    "../../../../etc/passwd",
    "%00%ff%c0%af",
    "${jndi:ldap://x}",
    "AAAAAAAAAAAAAAAAAAAAAA==",
];

/// The share of calls made that end a login. A new account costs as much as a hundred requests.
const SESSION_ENDING: f64 = 0.03;

const METHODS: [&str; 14] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "PRI", "A-B",
    "M0",
];

const HEADERS: [&str; 24] = [
    "expect: 100-continue",
    "expect: a miracle",
    "range: bytes=0-18446744073709551615",
    "if-none-match: *",
    "cookie: a=b; c",
    "upgrade: websocket\r\nconnection: upgrade",
    "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
    "connection: keep-alive, close, upgrade",
    "x-forwarded-for: 1.2.3.4, ::1",
    "x-forwarded-for: \u{fc}",
    "forwarded: for=\"_x\"",
    "origin: https://evil.example",
    "content-encoding: gzip",
    "content-type: text/plain",
    "content-type: application/json; charset=utf-7",
    "accept: */*;q=9999999999999999999999",
    "accept-encoding: br;q=nan",
    "authorization: Bearer",
    "authorization: Basic YTpi",
    "authorization: Bearer a.b.c",
    "authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    "sec-websocket-key: x\r\nsec-websocket-version: 99",
    "te: trailers",
    "x-request-id: \t \t",
];

/// Bytes that are not a request.
const GARBAGE: [&[u8]; 5] = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\n x: y\r\n\r\n",
];

/// Returns the next request.
pub(super) fn next(rng: &mut StdRng, api: &Api, identity: &Identity) -> Request {
    if rng.random_bool(0.01) {
        return garbage(rng);
    }
    let Some(operation) = operation(rng, api) else { return garbage(rng) };
    let method = if rng.random_bool(0.05) { METHODS.choose(rng).copied().unwrap_or("GET") } else { &operation.method };
    let path = path(rng, identity, operation);
    let body = body(rng, api, identity, operation);
    let mut framing = Framing::Honest;
    if rng.random_bool(0.01) {
        framing = if rng.random_bool(0.5) { Framing::Chunked } else { Framing::Wrong };
    }
    let (bytes, authenticated) = head(rng, identity, method, &path, &body, framing);
    let well_framed =
        framing == Framing::Honest && method.bytes().all(|byte| byte.is_ascii_uppercase()) && method != "CONNECT";
    Request { bytes, bodiless: method == "HEAD", well_framed, authenticated }
}

/// Chooses a call; rarely one that can end the login.
fn operation<'a>(rng: &mut StdRng, api: &'a Api) -> Option<&'a Operation> {
    loop {
        let operation = api.operations.choose(rng)?;
        if !ends_the_session(operation) || rng.random_bool(SESSION_ENDING) {
            return Some(operation);
        }
    }
}

/// Returns whether the call ends the login if everything in it is valid.
fn ends_the_session(operation: &Operation) -> bool {
    operation.path == "/v1/account/delete" || operation.method == "DELETE" && operation.path.starts_with("/v1/sessions")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Honest,
    Chunked,
    /// Lengths that a reader should refuse.
    Wrong,
}

fn garbage(rng: &mut StdRng) -> Request {
    let mut bytes = GARBAGE.choose(rng).map_or_else(Vec::new, |bytes| bytes.to_vec());
    if rng.random_bool(0.5) {
        bytes = vec![0; rng.random_range(1..300)];
        rng.fill_bytes(&mut bytes);
        bytes.extend_from_slice(b"\r\n\r\n");
    }
    Request { bytes, bodiless: false, well_framed: false, authenticated: false }
}

fn path(rng: &mut StdRng, identity: &Identity, operation: &Operation) -> String {
    let mut path = String::new();
    for part in operation.path.split('/').skip(1) {
        path.push('/');
        if !part.starts_with('{') {
            path.push_str(part);
            continue;
        }
        let own = if part == "{username}" { identity.name.clone() } else { identity.account() };
        match rng.random_range(0..4) {
            0 => path.push_str(&own),
            1 => path.push_str(TEXTS.choose(rng).copied().map(encoded).unwrap_or_default().as_str()),
            2 => path.push_str(&"A".repeat(rng.random_range(0..4_000))),
            _ => path.push_str(&own.chars().rev().collect::<String>()),
        }
    }
    match rng.random_range(0..60) {
        0 => path.push('/'),
        1 => path = path.replace('/', "//"),
        2 => path = path.replace("v1", "%76%31"),
        3 => path = path.replace("v1", "v1/../v1"),
        4 => path.push_str("?a=b&a=c&%00=%ff"),
        5 => path.push_str("#x"),
        6 => path.push('%'),
        7 => path.push_str("%zz"),
        8 => path.push(';'),
        9 => path = format!("http://evil.example{path}"),
        10 => path = "*".to_owned(),
        _ => {}
    }
    path
}

/// Encodes a text for a path, sometimes wrongly.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn body(rng: &mut StdRng, api: &Api, identity: &Identity, operation: &Operation) -> Vec<u8> {
    let Some(schema) = &operation.body else {
        // A body for a call without one.
        return if rng.random_bool(0.02) { b"{}".to_vec() } else { Vec::new() };
    };
    let mut value = api.value(rng, identity, schema, 0);
    for _ in 0..rng.random_range(0..3) {
        mutate(rng, &mut value);
    }
    let text = value.to_string();
    match rng.random_range(0..40) {
        0 => text.get(..text.len() / 2).unwrap_or_default().into(),
        1 => text.replacen('{', "{\"x\":1,\"x\":2,", 1).into(),
        2 => text.replacen(':', &format!(":{},\"y\":", "9".repeat(400)), 1).into(),
        3 => ["[".repeat(rng.random_range(1..60_000)), text].concat().into(),
        4 => {
            let mut bytes = text.into_bytes();
            let place = rng.random_range(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(place) {
                *byte = rng.random();
            }
            bytes
        }
        5 => text.replace('"', "\\u0000").into(),
        6 => text.replacen(':', ":1e999999999,\"z\":", 1).into(),
        7 => Vec::new(),
        8 => vec![b' '; rng.random_range(0..140_000)],
        9 => text.replacen("\"", "\"\\ud800", 1).into(),
        _ => text.into(),
    }
}

/// Changes one position in the value.
fn mutate(rng: &mut StdRng, value: &mut Value) {
    match value {
        Value::Object(object) if !object.is_empty() && rng.random_bool(0.85) => {
            let names: Vec<String> = object.keys().cloned().collect();
            let Some(name) = names.choose(rng) else { return };
            match rng.random_range(0..8) {
                0 => drop(object.remove(name)),
                1 => drop(object.insert(format!("{name}_"), Value::Null)),
                _ => {
                    if let Some(inner) = object.get_mut(name) {
                        mutate(rng, inner);
                    }
                }
            }
        }
        Value::Array(items) if rng.random_bool(0.85) => match items.first().cloned() {
            Some(item) if rng.random_bool(0.3) => items.extend(vec![item; rng.random_range(1..300)]),
            _ => {
                let place = rng.random_range(0..items.len().max(1));
                if let Some(item) = items.get_mut(place) {
                    mutate(rng, item);
                }
            }
        },
        value => {
            *value = match rng.random_range(0..9) {
                0 => Value::Null,
                1 => Value::Bool(true),
                2 => Value::from(-1),
                3 => Value::from(u64::MAX),
                4 => Value::from(1.5e300),
                5 => Value::from("A".repeat(rng.random_range(0..70_000))),
                6 => serde_json::json!({"$gt": ""}),
                7 => serde_json::json!([[[[]]]]),
                _ => Value::from(TEXTS.choose(rng).copied().unwrap_or_default()),
            };
        }
    }
}

/// Returns the head's bytes, and whether they carry the token and nothing that contradicts it.
fn head(
    rng: &mut StdRng,
    identity: &Identity,
    method: &str,
    path: &str,
    body: &[u8],
    framing: Framing,
) -> (Vec<u8>, bool) {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n").into_bytes();
    let mut authenticated = rng.random_bool(0.95);
    if authenticated {
        bytes.extend_from_slice(format!("authorization: Bearer {}\r\n", identity.token).as_bytes());
    }
    if !body.is_empty() && rng.random_bool(0.97) {
        bytes.extend_from_slice(b"content-type: application/json\r\n");
    }
    for _ in 0..usize::from(rng.random_bool(0.1)) {
        let header = HEADERS.choose(rng).copied().unwrap_or_default();
        authenticated &= !header.starts_with("authorization");
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    match rng.random_range(0..300) {
        0 => bytes.extend_from_slice(format!("x-long: {}\r\n", "a".repeat(rng.random_range(1..150_000))).as_bytes()),
        1 => bytes.extend_from_slice("x-many: b\r\n".repeat(rng.random_range(50..200)).as_bytes()),
        _ => {}
    }
    match framing {
        Framing::Honest => {
            bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        Framing::Chunked => {
            bytes.extend_from_slice(format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        }
        Framing::Wrong => {
            let lengths = ["-1", "+1", "1, 2", "0x10", "18446744073709551616", "1\r\ncontent-length: 2"];
            let length = lengths.choose(rng).copied().unwrap_or_default();
            bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
            bytes.extend_from_slice(body);
        }
    }
    (bytes, authenticated)
}
