//! One name, three nodes.

use super::size;
use super::world::{Cluster, PASSWORD, With};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_500_registrations_of_a_name_on_three_nodes_gets_it() {
    let cluster = Cluster::start(With { nats: true, nginx: false });
    let count = size("SEALPOST_CLUSTER_REGISTRATIONS", 500);
    let tries = (0..count).zip(cluster.nodes.iter().cycle()).map(|(_, node)| async {
        let client = node.client();
        loop {
            match client.try_register("popular", PASSWORD, None).await {
                Ok(person) => return Some(person),
                Err((409, body)) => {
                    assert!(body.contains("username_taken"), "{body}");
                    return None;
                }
                // As many wait for their passwords to be hashed as may.
                Err((503, _)) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    let winners: Vec<_> = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    for node in &cluster.nodes {
        let (status, body) = node.client().call("GET", "/v1/accounts/by-name/popular", &winners[0].token, "").await;
        assert_eq!(status, 200, "{body}");
    }
}
