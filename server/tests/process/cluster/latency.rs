//! What it costs a message to come from another node.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sealpost_api::frames::{ClientFrame, ServerFrame};

use super::super::world::{Client, Person};
use super::size;
use super::world::{Cluster, With};

/// Between two messages of all people together: 50 a second.
const PACE: Duration = Duration::from_millis(20);
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far above what is aimed at (2), because the machine may be busy with other things.
const RATIO_MAX: f64 = 25.0;

/// Half of the people send to the other half; from when a message was due until its recipient has it, ascending.
async fn times(people: &[Person], clients: [&[Client]; 2], first: u64, each: u64) -> Vec<Duration> {
    let (senders, recipients) = people.split_at(people.len() / 2);
    // Connecting takes its time, and none of it may count.
    let (mut listening, mut sockets) = (Vec::new(), Vec::new());
    for (recipient, client) in recipients.iter().zip(clients[1].iter().cycle()) {
        listening.push(client.connect(recipient).await);
    }
    for (sender, client) in senders.iter().zip(clients[0].iter().cycle()) {
        sockets.push(client.connect(sender).await);
    }
    let begin = Instant::now() + Duration::from_millis(500);
    let mut receiving = Vec::new();
    for mut socket in listening {
        receiving.push(tokio::spawn(async move {
            let (mut times, mut seen) = (Vec::new(), HashSet::new());
            while (times.len() as u64) < each {
                if let ServerFrame::Deliver(deliver) = socket.frame().await {
                    socket.put(ClientFrame::Ack { ids: vec![deliver.id] }).await;
                    if seen.insert(deliver.number.0) {
                        times.push(begin.elapsed().saturating_sub(due(&deliver.ciphertext)));
                    }
                }
            }
            socket.close().await;
            times
        }));
    }
    tokio::time::sleep_until(begin.into()).await;
    for message in 0..each * senders.len() as u64 {
        let at = PACE * u32::try_from(message).unwrap();
        tokio::time::sleep_until((begin + at).into()).await;
        let who = usize::try_from(message).unwrap() % senders.len();
        let number = first + message / senders.len() as u64;
        sockets[who].send(number, &recipients[who], &at.as_micros().to_string()).await;
    }
    let mut all = Vec::new();
    for task in receiving {
        all.extend(tokio::time::timeout(PATIENCE, task).await.expect("a message did not arrive").unwrap());
    }
    for mut socket in sockets {
        socket.try_close().await;
    }
    all.sort_unstable();
    all
}

fn due(text: &Bytes) -> Duration {
    Duration::from_micros(std::str::from_utf8(text).unwrap().parse().unwrap())
}

fn percentile(times: &[Duration], per_cent: usize) -> Duration {
    times[(times.len() * per_cent / 100).min(times.len() - 1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_from_another_node_takes_little_longer_than_one_from_the_same() {
    // `SEALPOST_CLUSTER_PEOPLE=100` is the long form.
    let people = usize::try_from(size("SEALPOST_CLUSTER_PEOPLE", 12)).unwrap();
    let each = size("SEALPOST_CLUSTER_MESSAGES", 120) * 2 / people as u64 / 2;
    let cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let people = cluster.people(people).await;
    let nodes: Vec<_> = cluster.nodes.iter().map(super::world::Node::client).collect();
    let next: Vec<_> = nodes.iter().cycle().skip(1).take(3).cloned().collect();
    let (mut one, mut many) = (Vec::new(), Vec::new());
    // Twice each, in turn, so that neither has the machine's better half.
    for round in 0..2 {
        one.extend(times(&people, [&nodes[..1], &nodes[..1]], 1 + 2 * round * each, each).await);
        many.extend(times(&people, [&nodes, &next], 1 + (2 * round + 1) * each, each).await);
    }
    one.sort_unstable();
    many.sort_unstable();
    let ratio = percentile(&many, 99).as_secs_f64() / percentile(&one, 99).as_secs_f64();
    println!(
        "{} people, {} messages each way, 50 a second: on one node p50 {:?} p99 {:?}; from another node p50 {:?} p99 {:?}; \
         p99 ratio {ratio:.2}",
        people.len(),
        one.len(),
        percentile(&one, 50),
        percentile(&one, 99),
        percentile(&many, 50),
        percentile(&many, 99),
    );
    assert!(ratio < RATIO_MAX, "{ratio}");
}
