use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::limits::CIPHERTEXT_MAX_BYTES;
use tokio::net::TcpSocket;

use super::world::{Client, Person, Running, Socket, World};

/// Sockets that never read, and MiB waiting for each. `SEALPOST_SLOW_READERS=2000x10` is the long form, by `cargo test`, which
/// has no time limit; twice the delivery window shows the same.
const READERS: &str = "40x2";
/// What one of them may cost.
const EACH_MAX: u64 = 256 * 1024;
/// Longer than the last of them needs to come after the first.
const TIMEOUT_AT_LEAST: Duration = Duration::from_secs(10);
const TIMEOUT_FOR_EACH: Duration = Duration::from_millis(100);
/// Sends without an answer.
const IN_FLIGHT: usize = 64;
/// Honest calls are answered within this time, whatever else the machine does.
const HONEST_MAX: Duration = Duration::from_secs(5);

/// Every limit out of the way; this is about what is left then. Pings would end the sockets too, but later.
fn config(write_timeout: Duration) -> String {
    let mut text = format!(
        "connections_per_address = 100000\n[stream]\nping_millis = 3600000\nwrite_timeout_millis = {}\n\
         [queue]\nmessages_max = 100000\nbytes_max = 1000000000\nsender_messages_max = 1000000\n",
        write_timeout.as_millis()
    );
    for name in ["send_pair", "requests_address", "register_address"] {
        text += &format!("[limits.{name}]\nburst = 1000000\ntokens = 1000000\nper_seconds = 1\n");
    }
    text
}

/// Somebody who reads.
struct Honest {
    socket: Socket,
    slowest: Duration,
}

impl Honest {
    async fn is_served(&mut self) {
        let begin = Instant::now();
        self.socket.put(ClientFrame::Ping { nonce: 7 }).await;
        assert_eq!(self.socket.frame().await, ServerFrame::Pong { nonce: 7 });
        self.slowest = self.slowest.max(begin.elapsed());
    }

    /// Sends everyone this much.
    async fn fill(&mut self, people: &[Person], mib: usize) {
        let text = "x".repeat(CIPHERTEXT_MAX_BYTES);
        let (mut number, mut unanswered) = (0, 0);
        for person in people {
            for _ in 0..mib * 1024 * 1024 / CIPHERTEXT_MAX_BYTES {
                number += 1;
                self.socket.send(number, person, &text).await;
                unanswered += 1;
                while unanswered >= IN_FLIGHT {
                    assert!(matches!(self.socket.frame().await, ServerFrame::Sent(_)));
                    unanswered -= 1;
                }
            }
        }
        for _ in 0..unanswered {
            assert!(matches!(self.socket.frame().await, ServerFrame::Sent(_)));
        }
    }
}

async fn deaf(client: &Client, person: &Person) -> Socket {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(1024).unwrap();
    let stream = tcp.connect(([127, 0, 0, 1], client.port()).into()).await.unwrap();
    client.upgrade(person, Box::new(client.tls_on(stream).await.unwrap()), &[]).await
}

/// Sockets, files and whatever else the process has open.
fn open_files(server: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[tokio::test]
async fn threat_47_sockets_that_never_read_cost_bounded_memory_and_are_closed() {
    let size = std::env::var("SEALPOST_SLOW_READERS").unwrap_or_else(|_| READERS.to_owned());
    let (readers, mib) = size.split_once('x').unwrap();
    let (readers, mib): (usize, usize) = (readers.parse().unwrap(), mib.parse().unwrap());
    let write_timeout = TIMEOUT_AT_LEAST + TIMEOUT_FOR_EACH * u32::try_from(readers).unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let mut world = World::new();
    let server = world.start_configured(&config(write_timeout));
    let client = server.client();
    let sender = client.register("sender", "correct horse battery").await;
    let mut honest = Honest { socket: client.connect(&sender).await, slowest: Duration::ZERO };
    while honest.socket.frame().await != ServerFrame::Drained {}
    let mut people = Vec::new();
    for person in 0..readers {
        people.push(client.register(&format!("deaf_{person}"), "correct horse battery").await);
    }
    honest.fill(&people, mib).await;

    let (before, open_before) = (server.memory().0, open_files(&server));
    let mut deafs = Vec::new();
    for person in &people {
        deafs.push(deaf(&client, person).await);
        honest.is_served().await;
    }
    let all = u64::try_from(readers).unwrap();
    assert_eq!(server.metric("sealpost_streams").await, all + 1, "they are all there");
    let (begin, mut highest) = (Instant::now(), 0);
    while server.metric("sealpost_streams").await > 1 {
        assert!(begin.elapsed() < 3 * write_timeout, "they are still there");
        highest = highest.max(server.memory().0);
        honest.is_served().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let grown = highest.saturating_sub(before);
    println!(
        "{readers} sockets with {mib} MiB waiting: {grown} bytes, {} for each; the write timeout of {write_timeout:?} had \
         ended all {:?} after the last came; honest calls took {:?} at most",
        grown / all,
        begin.elapsed(),
        honest.slowest
    );
    assert!(grown <= all * EACH_MAX, "{} bytes for each", grown / all);
    assert!(honest.slowest < HONEST_MAX, "an honest call took {:?}", honest.slowest);
    // What the kernel keeps for them goes too.
    while open_files(&server) > open_before + 5 {
        assert!(begin.elapsed() < 3 * write_timeout, "{} are open, {open_before} were", open_files(&server));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("and their connections were closed {:?} after the last came", begin.elapsed());
    drop(deafs);
}
