//! Every part of a cluster may die while people talk; nothing accepted is lost.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::world::Client;
use super::size;
use super::talk::{Talk, Tally};
use super::world::{Cluster, With};

/// People who talk.
const PEOPLE: usize = 6;
/// Between two messages of one of them.
const PAUSE: Duration = Duration::from_millis(20);
/// What the sweep promises.
const SWEEP: Duration = Duration::from_secs(5);
/// The same on a machine that has much else to do.
const SWEEP_ON_A_BUSY_MACHINE: Duration = Duration::from_secs(15);
const ALL: With = With { nats: true, nginx: true };

fn messages() -> u64 {
    size("SEALPOST_CLUSTER_MESSAGES", 300)
}

async fn begin(cluster: &Cluster, clients: &[Client]) -> Talk {
    let people = cluster.people(PEOPLE).await;
    Talk::begin(people, clients, messages(), PAUSE)
}

/// One client of each node.
fn each_node(cluster: &Cluster) -> Vec<Client> {
    cluster.nodes.iter().map(super::world::Node::client).collect()
}

fn spread(tally: &Tally) {
    assert!(tally.nodes.len() == 3, "people were on {:?} only", tally.nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_between_people_on_different_nodes_arrive_at_once() {
    let cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let tally = begin(&cluster, &each_node(&cluster)).await.end("all is well").await;
    spread(&tally);
    assert_eq!((tally.breaks, tally.again), (0, 0));
    assert!(tally.late_max < SWEEP, "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_a_killed_node_are_back_within_five_seconds_and_miss_nothing() {
    let mut cluster = Cluster::start(ALL);
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &[cluster.client()]).await;
    talk.reached(30).await;
    cluster.nodes[0].kill();
    talk.reached(60).await;
    cluster.nodes[0].start();
    let tally = talk.end("a node is killed").await;
    spread(&tally);
    assert!(tally.breaks > 0 && tally.away_max < Duration::from_secs(5), "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_67_without_a_relay_messages_arrive_with_the_sweep() {
    let cluster = Cluster::start(With { nats: false, nginx: false });
    let tally = begin(&cluster, &each_node(&cluster)).await.end("NATS never runs").await;
    spread(&tally);
    assert_eq!(tally.breaks, 0);
    assert!(tally.late_max < SWEEP_ON_A_BUSY_MACHINE, "{tally}");
    for node in &cluster.nodes {
        assert_eq!(node.client().get("/readyz").await.0, 200, "a node without its relay serves");
    }
    cluster.relay_is(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_dies_and_comes_back_loses_nothing() {
    let mut cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &each_node(&cluster)).await;
    talk.reached(30).await;
    cluster.nats.kill();
    talk.reached(60).await;
    cluster.nats.start().unwrap();
    let tally = talk.end("NATS is killed").await;
    spread(&tally);
    assert_eq!(tally.breaks, 0);
    assert!(tally.late_max < SWEEP_ON_A_BUSY_MACHINE, "{tally}");
    cluster.relay_is(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_that_a_stopped_relay_holds_back_are_made_up_for_by_the_sweep() {
    let cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &each_node(&cluster)).await;
    talk.reached(30).await;
    cluster.nats.signal(Signal::STOP).unwrap();
    let stopped = Instant::now();
    let long = Duration::from_secs(size("SEALPOST_CLUSTER_STOP_SECONDS", 8));
    tokio::time::sleep(long).await;
    cluster.nats.signal(Signal::CONT).unwrap();
    let tally = talk.end(&format!("NATS stands still for {} s", stopped.elapsed().as_secs())).await;
    assert!(tally.late_max < SWEEP_ON_A_BUSY_MACHINE, "{tally}");
    cluster.relay_is(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_accepted_is_lost_when_the_database_is_killed() {
    let mut cluster = Cluster::start(ALL);
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &[cluster.client()]).await;
    talk.reached(40).await;
    cluster.kill_database();
    let client = cluster.nodes[0].client();
    let begin = Instant::now();
    while client.get("/readyz").await.0 == 200 {
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.start_database();
    let tally = talk.end("the database is killed").await;
    spread(&tally);
    assert!(tally.refused + tally.breaks > 0, "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_that_comes_back_loses_nothing() {
    let mut cluster = Cluster::start(ALL);
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &[cluster.client()]).await;
    talk.reached(40).await;
    cluster.kill_nginx();
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.start_nginx();
    let tally = talk.end("nginx is killed").await;
    spread(&tally);
    assert!(tally.breaks >= PEOPLE as u64, "{tally}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_are_started_again_one_after_the_other_while_people_talk() {
    let mut cluster = Cluster::start(ALL);
    cluster.relay_is(1).await;
    let talk = begin(&cluster, &[cluster.client()]).await;
    for (number, percent) in [20, 40, 60].into_iter().enumerate() {
        talk.reached(percent).await;
        cluster.nodes[number].stop();
        cluster.nodes[number].start();
    }
    let tally = talk.end("all nodes are started again").await;
    spread(&tally);
    assert!(tally.breaks > 0 && tally.away_max < SWEEP_ON_A_BUSY_MACHINE, "{tally}");
}
