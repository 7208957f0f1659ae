//! Whether an answer's time tells who is here: Welch's t-test over interleaved samples, as dudect does it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rand::seq::SliceRandom as _;
use sealpost_api::accounts::{CurrentIdentityRequest, DeleteAccountRequest};
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind, ServerFrame};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceId, RegistrationId};
use sealpost_server::base::config::Limit;
use sealpost_server::domain::clock::SystemRandom;
use sealpost_server::service::limiter::LimitTable;
use sealpost_server::service::passwords::{PasswordCost, PasswordSettings, Passwords};
use tokio::net::TcpStream;

use crate::account::{Account, AccountCalls as _, Device, PASSWORD, password, path_id, server_id};
use crate::server::{Options, TestServer};
use crate::socket::Socket;

/// Samples of each class. `SEALPOST_TIME_SAMPLES=100000` is what the threat table asks for; the default is for every build.
fn samples() -> usize {
    std::env::var("SEALPOST_TIME_SAMPLES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500)
}

/// dudect's threshold: beyond it, two classes differ.
const T_MAX: f64 = 4.5;
/// Besides all samples, only those up to these parts of them: a scheduler's tail hides small differences.
const CROPS: [f64; 5] = [0.5, 0.75, 0.9, 0.99, 1.0];

/// Hashes that cost little, so that 100,000 are feasible. The path is the real one; where hashes cost their usual price, what
/// they vary by hides far more.
fn cheap() -> PasswordSettings {
    PasswordSettings { memory_kib: 256, passes: 1, threads: 1, ..PasswordSettings::default() }
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// The largest |t| over the crops.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let mut pooled: Vec<f64> = one.iter().chain(other).copied().collect();
    pooled.sort_by(f64::total_cmp);
    let t = |crop: f64| {
        let limit = pooled[((pooled.len() - 1) as f64 * crop) as usize];
        let kept = |values: &[f64]| values.iter().copied().filter(|value| *value <= limit).collect::<Vec<_>>();
        let (one, other) = (kept(one), kept(other));
        let ((mean_one, variance_one), (mean_other, variance_other)) =
            (mean_and_variance(&one), mean_and_variance(&other));
        (mean_one - mean_other) / (variance_one / one.len() as f64 + variance_other / other.len() as f64).sqrt()
    };
    CROPS.iter().map(|crop| t(*crop).abs()).fold(0.0, f64::max)
}

/// How often classes are measured that differ: a real difference is there each time, what the machine did meanwhile is not.
const MEASURES_MAX: usize = 3;

/// The largest |t| between the first class and each other one, said aloud.
fn worst(what: &str, classes: &[(&str, Vec<f64>)]) -> f64 {
    let median = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let mut worst = 0.0_f64;
    for (name, times) in &classes[1..] {
        let t = welch(&classes[0].1, times);
        println!(
            "{what}: {} samples each, {} {:.1} µs, {name} {:.1} µs (medians), |t| = {t:.2}",
            times.len(),
            classes[0].0,
            median(&classes[0].1),
            median(times),
        );
        worst = worst.max(t);
    }
    worst
}

/// No class differs from the first.
async fn assert_alike(what: &str, names: &[&str], mut sample: impl AsyncFnMut(usize) -> f64) {
    let mut differences = Vec::new();
    for _ in 0..MEASURES_MAX {
        let worst = worst(what, &interleaved(names, &mut sample).await);
        if worst < T_MAX {
            return;
        }
        differences.push(worst);
    }
    panic!("{what}: |t| = {differences:.2?}, again and again");
}

/// Rounds of one sample of each class, in an order that is drawn anew each time.
async fn interleaved<'names>(
    names: &[&'names str],
    sample: &mut impl AsyncFnMut(usize) -> f64,
) -> Vec<(&'names str, Vec<f64>)> {
    let mut classes: Vec<(&str, Vec<f64>)> = names.iter().map(|name| (*name, Vec::new())).collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    for round in 0..samples() + 50 {
        order.shuffle(&mut rand::rng());
        for class in &order {
            let time = sample(*class).await;
            // The first are for caches to fill.
            if round >= 50 {
                classes[*class].1.push(time);
            }
        }
    }
    classes
}

/// A call that can be made again and again on one connection.
struct Probe {
    method: Method,
    path: String,
    token: String,
    body: Bytes,
    status: u16,
}

async fn connection(server: &TestServer) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn time(sender: &mut SendRequest<Full<Bytes>>, probe: &Probe) -> f64 {
    let request = Request::builder()
        .method(probe.method.clone())
        .uri(&probe.path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", probe.token))
        .body(Full::new(probe.body.clone()))
        .unwrap();
    sender.ready().await.unwrap();
    let begin = Instant::now();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    let time = begin.elapsed().as_nanos() as f64 / 1_000.0;
    assert_eq!(status, probe.status);
    time
}

async fn compare(server: &TestServer, what: &str, probes: &[(&str, Probe)]) {
    let mut sender = connection(server).await;
    let names: Vec<&str> = probes.iter().map(|(name, _)| *name).collect();
    assert_alike(what, &names, async |class| time(&mut sender, &probes[class].1).await).await;
}

/// Nobody is limited here: the attacker has all the addresses and time there are.
fn options(passwords: PasswordSettings) -> Options {
    let mut options = Options { passwords, ..Options::default() };
    for (name, _) in LimitTable::default().iter() {
        let none = Limit { burst: u32::MAX, tokens: u32::MAX, per_seconds: 1 };
        options.limits.set(name.rule().name, none).unwrap();
    }
    options
}

async fn delete(server: &TestServer, account: &Account) {
    let erase = DeleteAccountRequest { password: password(PASSWORD) };
    assert_eq!(server.post("/v1/account/delete", &account.device.access, &erase).await.status, 200);
}

/// Returns a login with a wrong password by a stranger who claims the person's device.
fn log_in(server: &TestServer, person: &Account) -> Probe {
    let mut device = Device::new(person.id(), 1);
    device.address = person.device.address;
    let request = device.login_request(server_id(server), &person.name, "not the password");
    Probe {
        method: Method::POST,
        path: "/v1/sessions".to_owned(),
        token: String::new(),
        body: serde_json::to_vec(&request).unwrap().into(),
        status: 401,
    }
}

fn current_identity(person: &Account) -> Probe {
    let ask = CurrentIdentityRequest { username: person.name.clone(), password: password("not the password") };
    Probe {
        method: Method::POST,
        path: "/v1/identity/current".to_owned(),
        token: String::new(),
        body: serde_json::to_vec(&ask).unwrap().into(),
        status: 401,
    }
}

#[tokio::test]
async fn threat_33_a_failed_log_in_takes_as_long_for_whoever_is_not_here() {
    let server = TestServer::start(options(cheap())).await;
    let (here, gone) = (Account::register(&server, "is.here").await, Account::register(&server, "is.gone").await);
    delete(&server, &gone).await;
    let never = Account::new("is.none");
    let probes =
        [("unknown", log_in(&server, &never)), ("here", log_in(&server, &here)), ("deleted", log_in(&server, &gone))];
    compare(&server, "log-in", &probes).await;
    let probes = [
        ("unknown", current_identity(&never)),
        ("here", current_identity(&here)),
        ("deleted", current_identity(&gone)),
    ];
    compare(&server, "current identity", &probes).await;
}

#[tokio::test]
async fn threat_33_a_failed_log_in_takes_as_long_after_the_parameters_were_raised() {
    let before = PasswordSettings { memory_kib: 128, ..cheap() };
    let earlier = vec![PasswordCost { memory_kib: before.memory_kib, passes: before.passes }];
    let server = TestServer::start(options(PasswordSettings { earlier, ..cheap() })).await;
    let (old, new) = (Account::register(&server, "is.olden").await, Account::register(&server, "is.newer").await);
    let store = &server.services.core().store;
    let hash = store.account(old.id()).await.unwrap().unwrap().password_hash;
    let older = Passwords::new(&before, Arc::new(SystemRandom)).unwrap().hash(password(PASSWORD)).await.unwrap();
    assert!(store.rehash_password(old.id(), &hash, &older).await.unwrap());
    let never = Account::new("is.never");
    let probes =
        [("unknown", log_in(&server, &never)), ("older", log_in(&server, &old)), ("today's", log_in(&server, &new))];
    compare(&server, "log-in after an upgrade", &probes).await;
}

#[tokio::test]
async fn look_up_bundle_and_send_take_as_long_for_unknown_as_for_deleted() {
    let server = TestServer::start(options(cheap())).await;
    let (asks, gone) = (Account::register(&server, "asks").await, Account::register(&server, "is.gone").await);
    delete(&server, &gone).await;
    let never = Account::new("is.none");
    let probe = |method: Method, path: String, body: &'static str| Probe {
        method,
        path,
        token: asks.device.access.clone(),
        body: Bytes::from_static(body.as_bytes()),
        status: 404,
    };
    let by_name = |person: &Account| probe(Method::GET, format!("/v1/accounts/by-name/{}", person.name), "");
    compare(&server, "look-up", &[("unknown", by_name(&never)), ("deleted", by_name(&gone))]).await;
    let lists = |person: &Account| probe(Method::GET, format!("/v1/accounts/{}/devices", path_id(person.id())), "");
    compare(&server, "device lists", &[("unknown", lists(&never)), ("deleted", lists(&gone))]).await;
    let bundles =
        |person: &Account| probe(Method::POST, format!("/v1/accounts/{}/bundles", path_id(person.id())), "{}");
    compare(&server, "bundles", &[("unknown", bundles(&never)), ("deleted", bundles(&gone))]).await;

    let mut socket = Socket::open(&server, Some(&asks.device.access)).await;
    while socket.next().await.unwrap() != ServerFrame::Drained {}
    let ids = [never.id(), gone.id()];
    let mut number = 0;
    assert_alike("send", &["unknown", "deleted"], async |class| {
        number += 1;
        let copy = Copy {
            device: DeviceId::PRIMARY,
            registration: RegistrationId::from_bytes([1; 32]),
            ciphertext: Bytes::from_static(&[0; 256]),
        };
        let send = Send { number: MessageNumber(number), to: ids[class], kind: SendKind::Message, copies: vec![copy] };
        let begin = Instant::now();
        socket.put(ClientFrame::Send(send)).await;
        loop {
            match socket.next().await.unwrap() {
                ServerFrame::Refused(_) => return begin.elapsed().as_nanos() as f64 / 1_000.0,
                ServerFrame::Sent(sent) => panic!("{sent:?}"),
                _ => {}
            }
        }
    })
    .await;
}
