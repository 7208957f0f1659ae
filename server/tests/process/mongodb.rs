//! The program on a MongoDB, whose process is killed and comes back.

use std::time::{Duration, Instant};

use super::world::World;
use sealpost_harness::database::Database;

/// Alice's.
const PASSWORD: &str = "correct horse battery";
/// Far longer than a database takes to come back.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_on_mongodb_outlives_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
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
    let _database = tokio::task::spawn_blocking(move || Database::start(folder.path(), port).unwrap()).await.unwrap();
    let begin = Instant::now();
    while client.get("/readyz").await.0 != 200 {
        assert!(begin.elapsed() < PATIENCE, "it did not come back:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log_in().await, 200);
    assert!(!server.log().contains("canary_database"), "{}", server.log());
}

#[test]
fn the_doctor_says_what_serve_would_refuse() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let doctor = |flags: &[&str]| {
        let output = world.command().arg("doctor").args(flags).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let database = Database::start_with(&folder.path().join("good"), 0, &[]).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    let (code, said) = doctor(&["--store", &address]);
    assert!(code == Some(0) && said.contains("good     topology    the replica set"), "{said}");
    assert!(said.contains("there is no store yet"), "{said}");
    let (code, said) = doctor(&["--store", &address, "--json"]);
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(code == Some(0) && lines.iter().all(|line| line["severity"] != "refused"), "{said}");
    drop(database);
    let alone = Database::start_with(&folder.path().join("alone"), 0, &["--standalone"]).unwrap();
    let listens = alone.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    let (code, said) = doctor(&["--store", &address]);
    assert!(code == Some(1) && said.contains("refused  topology"), "{said}");
    let refused = world.refused(&["--listen", "127.0.0.1:0", "--store", &address]);
    assert!(refused.contains("run rs.initiate()") && !refused.contains(&listens), "{refused}");
    let data = world.data();
    let (code, said) = doctor(&["--data", data.to_str().unwrap()]);
    assert!(code == Some(0) && said.contains("there is no store yet"), "{said}");
}
