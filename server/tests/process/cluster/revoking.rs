//! What one node ends is over on all.

use std::time::{Duration, Instant};

use sealpost_api::frames::ServerFrame;

use super::world::{Cluster, With};

/// What is promised.
const SOON: Duration = Duration::from_secs(1);

/// Logs people out on the first node and looks at the others, several times.
async fn log_out_on_one_node(cluster: &Cluster) {
    for person in cluster.people(3).await {
        let mut sockets = Vec::new();
        for node in &cluster.nodes[1..] {
            assert_eq!(node.client().call("GET", "/v1/sessions", &person.token, "").await.0, 200);
        }
        // A device has one socket: the one on the third node.
        sockets.push(cluster.nodes[2].client().connect(&person).await);
        let (status, body) = cluster.nodes[0].client().call("DELETE", "/v1/sessions", &person.token, "").await;
        assert_eq!(status, 200, "{body}");
        let begin = Instant::now();
        for node in &cluster.nodes {
            assert_eq!(node.client().call("GET", "/v1/sessions", &person.token, "").await.0, 401);
        }
        for mut socket in sockets {
            assert_eq!(socket.closed().await, Some(4401));
        }
        let took = begin.elapsed();
        println!("over everywhere after {} ms", took.as_millis());
        assert!(took < SOON, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_37_a_log_out_is_followed_on_every_node_within_a_second_with_a_relay() {
    let cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    log_out_on_one_node(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_37_a_log_out_is_followed_on_every_node_within_a_second_without_a_relay() {
    let cluster = Cluster::start(With { nats: false, nginx: false });
    log_out_on_one_node(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_socket_on_another_node_replaces_the_former_with_a_relay_and_without() {
    let mut cluster = Cluster::start(With { nats: true, nginx: false });
    cluster.relay_is(1).await;
    let people = cluster.people(2).await;
    let (alice, bob) = (&people[0], &people[1]);
    for (with_relay, within) in [(true, Duration::from_secs(3)), (false, Duration::from_secs(15))] {
        let mut former = cluster.nodes[1].client().connect(bob).await;
        let (_newer, welcome) = cluster.nodes[2].client().welcomed(bob).await;
        let begin = Instant::now();
        assert_eq!(former.closed().await, Some(4409));
        assert!(begin.elapsed() < within, "{with_relay}: {:?}", begin.elapsed());
        assert_eq!(welcome.node, "node-3");
        cluster.nats.kill();
        cluster.relay_is(0).await;
    }
    // What the former socket of a device still acknowledges or sends is refused, whatever it has heard.
    let mut former = cluster.nodes[1].client().connect(bob).await;
    let mut sender = cluster.nodes[0].client().connect(alice).await;
    sender.send(1, bob, "hello").await;
    assert!(matches!(
        sender.frame().await,
        ServerFrame::Drained | ServerFrame::Sent(_) | ServerFrame::PrekeysLow { .. }
    ));
    let (mut newer, _) = cluster.nodes[2].client().welcomed(bob).await;
    former.send(1, alice, "late").await;
    assert_eq!(former.closed().await, Some(4409));
    loop {
        if let ServerFrame::Deliver(deliver) = newer.frame().await {
            assert_eq!(&deliver.ciphertext[..], b"hello");
            break;
        }
    }
}
