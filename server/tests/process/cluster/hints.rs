//! Anyone with access to the relay can wake devices for nothing, and can do nothing else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::server::ServerInfo;
use sealpost_harness::relay::Nats;

use super::size;
use super::world::{Cluster, With};

/// Forged hints after each of which a genuine message is sent.
const GENUINE_AFTER: u64 = 10_000;

/// A connection of somebody who has learnt the password, spoken by hand.
fn intruder(nats: &Nats) -> TcpStream {
    let (_, place) = nats.address().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let mut stream = TcpStream::connect(place).unwrap();
    let hello = r#"CONNECT {"verbose":false,"pedantic":false,"user":"sealpost","pass":"p@ss","tls_required":false}"#;
    stream.write_all(format!("{hello}\r\nPING\r\n").as_bytes()).unwrap();
    let mut said = Vec::new();
    while !said.windows(6).any(|part| part == b"PONG\r\n") {
        let mut buffer = [0; 4_096];
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&buffer[..length]);
    }
    stream
}

fn message(subject: &str, payload: &[u8]) -> Vec<u8> {
    [format!("PUB {subject} {}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
}

/// Waits until the intruder's bytes have been passed on.
fn flush(stream: &mut TcpStream) {
    stream.write_all(b"PING\r\n").unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_66_forged_hints_move_no_message_and_end_no_session() {
    let count = size("SEALPOST_CLUSTER_HINTS", 50_000);
    let cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let people = cluster.people(3).await;
    let client = cluster.nodes[0].client();
    let info: ServerInfo = serde_json::from_str(&client.get("/v1/server").await.1).unwrap();
    let prefix = format!("sealpost.{}", hex::encode(info.server_id.0.as_bytes()));
    let mut sockets = Vec::new();
    for (person, node) in people.iter().zip(&cluster.nodes) {
        sockets.push(node.client().connect(person).await);
    }
    let mut intruder = intruder(&cluster.nats);
    let victim = people[1].address;
    let with_version = |bytes: &[u8]| [&[1], bytes].concat();
    let account = hex::encode(victim.account.as_bytes());
    let registration = with_version(victim.registration.as_bytes());
    let mut forged = Vec::new();
    for kind in ["wake", "connected"] {
        for person in &people {
            let account = hex::encode(person.address.account.as_bytes());
            let registration = with_version(person.address.registration.as_bytes());
            forged.push(message(&format!("{prefix}.{kind}.{account}.1"), &registration));
        }
        forged.push(message(&format!("{prefix}.{kind}.{account}.2"), &registration));
        forged.push(message(&format!("{prefix}.{kind}.{account}.1"), &with_version(&[0; 32])));
        forged.push(message(&format!("{prefix}.{kind}.{account}.300"), b"nonsense"));
    }
    let (_, sessions) = cluster.nodes[1].client().call("GET", "/v1/sessions", &people[1].token, "").await;
    let session = session_of(&sessions);
    forged.push(message(&format!("{prefix}.ended"), &with_version(&session)));
    forged.push(message(&format!("{prefix}.ended"), &with_version(&[7; 16 * 1_024])));
    forged.push(message(&format!("{prefix}.list.{account}"), &with_version(&[])));
    forged.push(message("sealpost.nobody.wake", b"x"));
    let heard_before = cluster.nodes[1].running().metric("sealpost_relay_heard_total").await;
    let cpu_before = cpu(&cluster);
    let genuine = count / GENUINE_AFTER;
    let mut victims = sockets.remove(1);
    let sender = people[0].address;
    // Everything genuine arrives, once, and nothing else does.
    let reading = tokio::spawn(async move {
        let mut delivered = 0;
        while delivered < genuine {
            match victims.frame().await {
                ServerFrame::Deliver(deliver) => {
                    assert_eq!((deliver.from, &deliver.ciphertext[..]), (sender, &b"genuine"[..]));
                    victims.put(ClientFrame::Ack { ids: vec![deliver.id] }).await;
                    delivered += 1;
                    assert_eq!(deliver.number.0, delivered);
                }
                ServerFrame::DeviceListChanged { version, .. } => assert_eq!(version, 1, "what the store says"),
                ServerFrame::Drained | ServerFrame::PrekeysLow { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        victims
    });
    let (begin, mut sent) = (Instant::now(), 0);
    while sent < count {
        let block: Vec<u8> = forged.iter().cycle().take(1_000).flatten().copied().collect();
        intruder = tokio::task::spawn_blocking(move || {
            intruder.write_all(&block).unwrap();
            intruder
        })
        .await
        .unwrap();
        sent += 1_000;
        if sent.is_multiple_of(GENUINE_AFTER) {
            sockets[0].send(sent / GENUINE_AFTER, &people[1], "genuine").await;
            while !matches!(sockets[0].frame().await, ServerFrame::Sent(_)) {}
        }
    }
    flush(&mut intruder);
    let took = begin.elapsed();
    let mut victims = reading.await.unwrap();
    let heard = cluster.nodes[1].running().metric("sealpost_relay_heard_total").await - heard_before;
    let dropped = cluster.nodes[1].running().metric("sealpost_relay_dropped_total").await;
    println!(
        "{sent} forged hints in {took:?}: node 2 heard {heard}, dropped {dropped}; all nodes used {:?} of processor time",
        cpu(&cluster).saturating_sub(cpu_before)
    );
    assert!(heard > 0);
    for (person, node) in people.iter().zip(&cluster.nodes) {
        assert_eq!(node.client().call("GET", "/v1/sessions", &person.token, "").await.0, 200, "no session has ended");
    }
    // The victim's socket is as open as before.
    victims.send(1, &people[0], "still here").await;
    loop {
        match victims.frame().await {
            ServerFrame::Sent(sent) => break assert_eq!(sent.number.0, 1),
            ServerFrame::DeviceListChanged { .. } | ServerFrame::Drained | ServerFrame::PrekeysLow { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The id of the only session in a list.
fn session_of(list: &str) -> Vec<u8> {
    use base64::Engine as _;
    let list: serde_json::Value = serde_json::from_str(list).unwrap();
    let id = list["sessions"][0]["session_id"].as_str().unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).unwrap()
}

/// Processor time of all nodes.
fn cpu(cluster: &Cluster) -> Duration {
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
    };
    cluster.nodes.iter().map(|node| of(node.running().pid())).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_refuses_the_nodes_is_a_relay_that_is_not_there() {
    let mut cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    cluster.nats.kill();
    cluster.nats.start_for("somebody else").unwrap();
    cluster.relay_is(0).await;
    for node in &cluster.nodes {
        assert_eq!(node.client().get("/readyz").await.0, 200);
        assert!(!node.running().log().contains("p@ss") && !node.running().log().contains("p%40ss"));
    }
}
