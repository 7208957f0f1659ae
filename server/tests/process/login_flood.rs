//! Logins under attack: the real program with real password hashes, behind a proxy that names each attacker's address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealpost_api::frames::ServerFrame;
use tokio::task::JoinSet;

use super::world::{Client, Person, Running, Socket, World};

/// How long the flood lasts. `SEALPOST_FLOOD_SECONDS=60` makes the 10,000 attempts of the threat table, and then the times of
/// honest people are held against it too; the default is for every build.
fn seconds() -> Option<u64> {
    std::env::var("SEALPOST_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok())
}

const SECONDS: u64 = 4;
/// 10,000 a minute.
const ATTEMPTS_PER_SECOND: u64 = 167;
const ADDRESSES: u64 = 200;
/// What the server hashes for strangers: at once, and then each second.
const GUESSES: (u64, u64) = (30, 10);
/// One password hash.
const HASH_BYTES: u64 = 19 * 1_024 * 1_024;
/// What connections, answers and the allocator take besides.
const SLACK_BYTES: u64 = 16 * 1_024 * 1_024;
/// How long the idle server is watched at most.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery";

/// What became of the attempts, by status.
#[derive(Debug, Default)]
struct Tally {
    hashed: u64,
    limited: u64,
    busy: u64,
}

/// One guess: at names that are there, at names that are not, and on a device whose key the attacker lacks.
async fn attempt(client: Client, number: u64) -> (u16, String) {
    let name = if number.is_multiple_of(2) { "alice".to_owned() } else { format!("user{number}") };
    let body = format!("{{\"username\":\"{name}\",\"password\":\"a wrong guess\"}}");
    let call = client.call("POST", "/v1/identity/current", "", &body);
    tokio::time::timeout(PATIENCE, call).await.expect("a call was never answered")
}

async fn flood(client: Client, lasts: Duration) -> Tally {
    let mut tally = Tally::default();
    let mut calls = JoinSet::new();
    let (begin, mut number) = (Instant::now(), 0);
    while begin.elapsed() < lasts {
        // What a busy machine could not begin in time is begun late, so that the rate is kept.
        let due = u64::try_from(begin.elapsed().as_millis()).unwrap() * ATTEMPTS_PER_SECOND / 1_000;
        while number < due {
            let from = number % ADDRESSES;
            calls.spawn(attempt(client.coming_from(&format!("198.51.100.{from}")), number));
            number += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(answer) = calls.join_next().await {
        let (status, body) = answer.unwrap();
        match status {
            401 => tally.hashed += 1,
            429 => tally.limited += 1,
            503 if body.contains("\"code\":\"busy\"") && body.contains("retry_after") => tally.busy += 1,
            other => panic!("{other} {body}"),
        }
    }
    tally
}

/// Measures honest logins, one after the other until it is over. Each must succeed, if not at once then when the
/// server said it would.
async fn log_ins(client: Client, person: Arc<Person>, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let body = client.login_body(&person, PASSWORD).await;
        let begin = Instant::now();
        loop {
            let (status, answer) = client.call("POST", "/v1/sessions", "", &body).await;
            match status {
                200 => break,
                503 => tokio::time::sleep(Duration::from_secs(1)).await,
                other => panic!("{other} {answer}"),
            }
        }
        times.push(begin.elapsed());
        // Within the device's own limit: 10 at once, and then one a minute.
        let pause = Instant::now() + Duration::from_secs(if times.len() < 9 { 1 } else { 60 });
        while Instant::now() < pause && !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    times
}

/// From sending to acceptance, one message after the other.
async fn messages(socket: &mut Socket, number: &mut u64, to: &Person, enough: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !enough(times.len()) {
        *number += 1;
        let begin = Instant::now();
        socket.send(*number, to, "one of many").await;
        loop {
            match socket.frame().await {
                ServerFrame::Sent(_) => break,
                ServerFrame::Refused(refused) => panic!("{refused:?}"),
                _ => {}
            }
        }
        times.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times
}

/// Says that the flood is over, however it ended.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort();
    times[(times.len() * part / 100).min(times.len() - 1)]
}

fn start(world: &mut World) -> Running {
    // Nobody reads the messages that are sent meanwhile.
    let limits = "[queue]\nsender_messages_max = 10000\n\
                  [limits.send_pair]\nburst = 1000000\ntokens = 1000\nper_seconds = 1\n\
                  [limits.register_address]\nburst = 100\ntokens = 1\nper_seconds = 1\n";
    std::fs::write(world.file("config.toml"), limits).unwrap();
    let config = world.file("config.toml").to_str().unwrap().to_owned();
    let flags =
        ["--listen", "127.0.0.1:0", "--plain-http", "--trust-proxy", "--registration", "open", "--config", &config];
    world.start(&flags)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_30_a_flood_of_log_ins_costs_little_and_holds_up_nobody() {
    let lasts = Duration::from_secs(seconds().unwrap_or(SECONDS));
    let mut world = World::new();
    let server = start(&mut world);
    let client = server.client().coming_from("203.0.113.7");
    let people = [client.register("alice", PASSWORD).await, client.register("bob", PASSWORD).await];
    let logs_in = Arc::new(client.register("carol", PASSWORD).await);
    let [alice, bob] = people;
    let mut socket = client.connect(&alice).await;
    while socket.frame().await != ServerFrame::Drained {}
    let mut number = 0;
    // For as long as the flood, if that is not very long, so that the two tails can be compared.
    let quiet = Instant::now();
    let mut idle = messages(&mut socket, &mut number, &bob, |_| quiet.elapsed() >= lasts.min(IDLE_MAX)).await;
    let (base, before) = server.memory();

    let over = Arc::new(AtomicBool::new(false));
    let honest = tokio::spawn(log_ins(client.clone(), Arc::clone(&logs_in), Arc::clone(&over)));
    let begin = Instant::now();
    // On a thread of its own, so that the attacker's work does not delay the honest client's.
    let attack = tokio::task::spawn_blocking({
        let (client, over) = (client.clone(), Arc::clone(&over));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _over = Over(over);
            runtime.block_on(flood(client, lasts))
        }
    });
    let mut under_attack = messages(&mut socket, &mut number, &bob, |_| over.load(Ordering::Relaxed)).await;
    let (tally, flooded) = (attack.await.unwrap(), begin.elapsed());
    let mut log_ins = honest.await.unwrap();
    let (_, most) = server.memory();

    let cores = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let hashers = cores.div_ceil(2);
    let (idle, busy) = (percentile(&mut idle, 99), percentile(&mut under_attack, 99));
    let slowest = percentile(&mut log_ins, 100);
    println!(
        "{flooded:?}: {tally:?}; {} honest logins, the slowest {slowest:?}; {} messages, p99 idle {idle:?}, under attack \
         {busy:?}; memory {} MiB (at most {} MiB before), at most {} MiB",
        log_ins.len(),
        under_attack.len(),
        base / 1_048_576,
        before / 1_048_576,
        most / 1_048_576,
    );
    // The limits come before the hashes, so that the attack gets what it is given and no more.
    assert!(tally.hashed <= GUESSES.0 + GUESSES.1 * (flooded.as_secs() + 1), "{tally:?}");
    assert!(tally.limited > tally.hashed, "{tally:?}");
    assert!(!log_ins.is_empty() && !under_attack.is_empty());
    assert!(most <= base + hashers * HASH_BYTES + SLACK_BYTES, "{most} of {base}");
    if seconds().is_some_and(|seconds| seconds >= 60) {
        assert!(slowest <= Duration::from_secs(5), "{slowest:?}");
        assert!(busy <= idle * 2, "{busy:?} {idle:?}");
    }
}
