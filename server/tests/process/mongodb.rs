//! The program on a MongoDB, whose process is killed and comes back.

use std::time::{Duration, Instant};

use super::secantusdb;
use super::world::World;

/// Alice's.
const PASSWORD: &str = "correct horse battery";
/// Far longer than a database takes to come back.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_on_mongodb_outlives_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let (database, listens) = secantusdb::run(folder.path(), 0);
    let port = listens.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut world = World::new();
    let address = world.file("store");
    std::fs::write(&address, format!("mongodb://{listens}/canary_database?serverSelectionTimeoutMS=500\n")).unwrap();
    let server = world.start(&["--listen", "127.0.0.1:0", "--store-file", address.to_str().unwrap()]);
    let client = server.client();
    let alice = client.register("alice", PASSWORD).await;
    let log_in = async || {
        let body = client.login_body(&alice, PASSWORD).await;
        client.call("POST", "/v1/sessions", "", &body).await.0
    };
    assert_eq!(client.get("/readyz").await.0, 200);
    drop(database);
    assert_eq!(client.get("/readyz").await.0, 503);
    assert_eq!(log_in().await, 503, "refused, and worth another try");
    let _database = tokio::task::spawn_blocking(move || secantusdb::run(folder.path(), port).0).await.unwrap();
    let begin = Instant::now();
    while client.get("/readyz").await.0 != 200 {
        assert!(begin.elapsed() < PATIENCE, "it did not come back:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log_in().await, 200);
    assert!(!server.log().contains("canary_database"), "{}", server.log());
}
