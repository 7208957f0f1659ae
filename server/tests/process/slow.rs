//! slowhttptest against the real server, directly and through nginx, with honest calls beside it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::nginx::Proxied;
use super::world::{Client, World};

/// Slow connections at once: 100 in the short form. `SEALPOST_SLOW_CONNECTIONS=5000` is the long one.
const CONNECTIONS: &str = "100";
/// The attack goes on for this long unless every connection was closed before.
const ATTACK_SECONDS: u64 = 40;
/// A head or a body that crawls is cut off after 5 and 10 s. On a machine with much else to do a timer may be late, and the
/// connections are not all opened in the same second.
const CUT_SECONDS: u64 = 25;
/// Honest calls are answered within this time, whatever else the machine does.
const HONEST_MAX: Duration = Duration::from_secs(5);

/// Where they come from.
const HONEST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What one attack did.
struct Attack {
    /// The second from which on no slow connection was left.
    gone_after: Option<u64>,
    most_at_once: u64,
    said: String,
}

fn connections() -> String {
    std::env::var("SEALPOST_SLOW_CONNECTIONS").unwrap_or_else(|_| CONNECTIONS.to_owned())
}

/// Runs the tool against the URL; `kind` is its flags for the kind of slowness.
async fn attack(folder: &Path, url: &str, kind: &[&str]) -> Attack {
    let connections = connections();
    let output = Command::new("slowhttptest")
        .current_dir(folder)
        .args(["-c", &connections, "-r", &connections, "-i", "1", "-p", "3", "-g", "-o", "slow"])
        .args(["-l", &ATTACK_SECONDS.to_string(), "-u", url])
        .args(kind)
        .kill_on_drop(true)
        .output()
        .await
        .expect("slowhttptest is missing: apt-get install slowhttptest");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let table = fs::read_to_string(folder.join("slow.csv")).unwrap_or_else(|_| panic!("no table of {url}: {said}"));
    // Seconds, closed, pending, connected, service available.
    let rows: Vec<Vec<u64>> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').filter_map(|field| field.trim().parse().ok()).collect())
        .collect();
    let open = |row: &&Vec<u64>| row[2] + row[3] > 0;
    let last_open = rows.iter().rev().find(open).map_or(0, |row| row[0]);
    let end = rows.last().unwrap();
    Attack {
        gone_after: (end[2] + end[3] == 0 || said.contains("No open connections left")).then_some(last_open),
        most_at_once: rows.iter().map(|row| row[3]).max().unwrap(),
        said,
    }
}

/// The time that one call takes, a new connection included, at the 99th percentile of what fits while `work` goes on.
async fn honest_beside<T>(client: &Client, work: impl Future<Output = T>) -> (T, Duration, usize) {
    let mut times = Vec::new();
    let honest = async {
        loop {
            let begin = Instant::now();
            assert_eq!(client.get("/v1/server").await.0, 200);
            times.push(begin.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = honest => unreachable!(),
    };
    times.sort();
    let at = times.len() * 99 / 100;
    (done, times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default(), times.len())
}

/// The attack comes from one address, which has its limits. Clients from other addresses must not notice it.
async fn cut(name: &str, client: &Client, folder: &Path, url: &str, kind: &[&str]) {
    let client = &client.bound_to(HONEST_ADDRESS);
    let ((), idle, _) = honest_beside(client, tokio::time::sleep(Duration::from_secs(2))).await;
    let (attack, busy, calls) = honest_beside(client, attack(folder, url, kind)).await;
    println!(
        "{name}: at most {} at once, gone after {:?} s; honest p99 {idle:?} idle, {busy:?} beside it ({calls} calls)",
        attack.most_at_once, attack.gone_after
    );
    let gone = attack.gone_after.unwrap_or_else(|| panic!("{name}: never cut off:\n{}", attack.said));
    assert!(attack.most_at_once > 10, "{name}: the attack did not take place:\n{}", attack.said);
    assert!(gone <= CUT_SECONDS, "{name}: cut off only after {gone} s");
    assert!(busy < HONEST_MAX && calls > 5, "{name}: honest calls took {busy:?}, {calls} of them");
}

const HEADS: &[&str] = &["-H"];
const BODIES: &[&str] = &["-B", "-t", "POST", "-f", "application/json", "-s", "8192"];

#[tokio::test]
async fn threat_45_a_head_that_crawls_is_cut_off_and_holds_up_nobody() {
    let mut world = World::new();
    let server = world.start_local();
    cut("heads", &server.client(), &world.file(""), &format!("{}/healthz", server.text("url")), HEADS).await;
}

/// Longer than a connection goes without a request, on a machine with much else to do.
const CRAWL_SECONDS: u64 = 45;

#[tokio::test]
async fn threat_45_a_later_head_that_crawls_is_cut_off_likewise() {
    let mut world = World::new();
    let server = world.start_local();
    let (mut read, mut write) = tokio::io::split(server.client().tls().await.unwrap());
    write.write_all(b"GET /v1/server HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let crawl = async {
        write.write_all(b"GET /v1/server HTTP/1.1\r\nhost: x\r\nx-crawl: ").await.unwrap();
        while write.write_all(b"y").await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending().await
    };
    let mut answers = Vec::new();
    let begin = Instant::now();
    let ended = tokio::select! {
        ended = tokio::time::timeout(Duration::from_secs(CRAWL_SECONDS), read.read_to_end(&mut answers)) => ended,
        () = crawl => unreachable!(),
    };
    assert!(String::from_utf8_lossy(&answers).starts_with("HTTP/1.1 200 "), "the first head is answered");
    assert!(ended.is_ok(), "still open after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_stream_outlives_what_a_connection_may_go_without_a_request() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    let person = client.register("alice", "a password of alice").await;
    let mut socket = client.connect(&person).await;
    let quiet = tokio::time::timeout(Duration::from_secs(CRAWL_SECONDS / 2 + 1), socket.closed()).await;
    assert!(quiet.is_err(), "the stream ended: {quiet:?}");
    socket.close().await;
}

#[tokio::test]
async fn threat_46_a_body_that_crawls_is_cut_off_and_holds_up_nobody() {
    let mut world = World::new();
    let server = world.start_local();
    cut("bodies", &server.client(), &world.file(""), &format!("{}/v1/sessions", server.text("url")), BODIES).await;
}

#[tokio::test]
async fn heads_and_bodies_that_crawl_are_cut_off_in_front_of_the_server_too() {
    let proxied = Proxied::start(&[], |text| text);
    let folder = proxied.world.file("");
    cut("heads through nginx", &proxied.client(), &folder, &format!("{}/healthz", proxied.url()), HEADS).await;
    cut("bodies through nginx", &proxied.client(), &folder, &format!("{}/v1/sessions", proxied.url()), BODIES).await;
}
