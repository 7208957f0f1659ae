//! The server's data on a small real disk that fills up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use sealpost_api::frames::{ClientFrame, Refused, ServerFrame};
use sealpost_api::problem::ProblemCode;

use super::image::Disk;
use super::world::{Client, Person, Socket, World};

const MEBIBYTE: u64 = 1024 * 1024;
/// The log of a server that is filled takes 16 MiB, and a little more; this is twice that.
const RESERVE: u64 = 40 * MEBIBYTE;
const PASSWORD: &str = "correct horse battery";

/// One sender, and the numbers that the server said it has.
struct Sender {
    socket: Socket,
    next: u64,
    accepted: BTreeSet<u64>,
}

impl Sender {
    /// One message; what is refused must be refused for the disk, and for sure.
    async fn send(&mut self, to: &Person) -> Result<(), Refused> {
        self.socket.send(self.next, to, &"x".repeat(90_000)).await;
        match self.socket.frame().await {
            ServerFrame::Sent(sent) => {
                assert_eq!(sent.number.0, self.next);
                self.accepted.insert(self.next);
                self.next += 1;
                Ok(())
            }
            ServerFrame::Refused(refused) => {
                assert!(refused.code == ProblemCode::DiskFull && !refused.maybe_stored, "{refused:?}");
                Err(refused)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Reads and acknowledges this many messages; how often each number has come.
async fn read(client: &Client, person: &Person, count: usize, come: &mut BTreeMap<u64, usize>) {
    let mut socket = client.connect(person).await;
    for _ in 0..count {
        let delivered = loop {
            match socket.frame().await {
                ServerFrame::Deliver(deliver) => break deliver,
                ServerFrame::PrekeysLow { .. } | ServerFrame::Drained => {}
                other => panic!("{other:?}"),
            }
        };
        socket.put(ClientFrame::Ack { ids: vec![delivered.id] }).await;
        *come.entry(delivered.number.0).or_default() += 1;
    }
    socket.close().await;
}

/// Waits until exactly this many wait.
async fn waits(client: &Client, person: &Person, count: usize) {
    let begin = Instant::now();
    loop {
        let pending = client.welcomed(person).await.1.pending;
        if pending == count as u64 {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{pending} wait, not {count}: acks were lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a message is accepted again.
async fn goes_on(sender: &mut Sender, to: &Person) {
    let begin = Instant::now();
    while sender.send(to).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(60), "there is room, and nothing is accepted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn threat_73_on_a_full_disk_nothing_is_lost_acks_work_and_room_is_used_without_a_restart() {
    let place = World::new();
    let disk = Disk::new(&place.file("."), 112);
    let mut world = World::with_data(disk.data());
    let limits = ["send_pair", "connect_device"]
        .map(|name| format!("[limits.{name}]\nburst = 100000\ntokens = 100000\nper_seconds = 1\n"));
    let config =
        format!("[store]\nreserve_bytes = {RESERVE}\n[queue]\nsender_messages_max = 10000\n{}", limits.concat());
    fs::write(world.file("c.toml"), config).unwrap();
    let config = world.file("c.toml").display().to_string();
    let server = world.start(&["--listen", "127.0.0.1:0", "--config", &config]);
    let client = server.client();
    let (alice, bob) = (client.register("alice", PASSWORD).await, client.register("bob", PASSWORD).await);
    let carol = client.register("carol", PASSWORD).await;
    let mut sender = Sender { socket: client.connect(&alice).await, next: 1, accepted: BTreeSet::new() };
    while sender.socket.frame().await != ServerFrame::Drained {}

    // Full by messages: the reserve is left for acks and deletions.
    while sender.send(&bob).await.is_ok() {}
    let filled = sender.accepted.len();
    assert!(filled > 100, "{filled}");
    assert!(disk.free_bytes() > RESERVE / 2, "{} bytes are left of the reserve", disk.free_bytes());
    assert_eq!(client.get("/readyz").await.0, 507);
    let mut come = BTreeMap::new();
    read(&client, &bob, filled / 2, &mut come).await;
    waits(&client, &bob, filled - filled / 2).await;
    let body = format!("{{\"password\":\"{PASSWORD}\"}}");
    let deleted = client.call("POST", "/v1/account/delete", &carol.token, &body).await;
    assert_eq!(deleted.0, 200, "{}", deleted.1);
    // What was acknowledged made room, once the log is written back.
    goes_on(&mut sender, &bob).await;

    // Full by somebody else's file: nothing is accepted, and nothing breaks.
    let filler = disk.mount.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while disk.free_bytes() > RESERVE / 4 {
        file.write_all(&vec![1; 1024 * 1024]).unwrap();
        file.sync_all().unwrap();
    }
    for _ in 0..3 {
        sender.send(&bob).await.unwrap_err();
    }
    read(&client, &bob, 3, &mut come).await;
    waits(&client, &bob, sender.accepted.len() - filled / 2 - 3).await;
    while file.write_all(&[1; 4096]).is_ok() {}
    for _ in 0..3 {
        sender.send(&bob).await.unwrap_err();
    }

    // Room again: it goes on by itself.
    drop(file);
    fs::remove_file(&filler).unwrap();
    goes_on(&mut sender, &bob).await;
    assert_eq!(client.get("/readyz").await.0, 200);
    read(&client, &bob, sender.accepted.len() - come.len(), &mut come).await;
    waits(&client, &bob, 0).await;
    assert!(come.keys().eq(&sender.accepted), "accepted and delivered are the same");
    assert!(come.values().all(|times| *times == 1), "{come:?}");
}
