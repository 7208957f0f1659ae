//! Stores that the program does not serve from: each is refused before anything is stored, with a reason that says what to do
//! and nothing of the password.

use mongodb::bson::{Document, doc};
use mongodb::options::WriteConcern;

use super::world::World;
use sealpost_harness::database::Database;

/// In every connection string, and in no text.
const PASSWORD: &str = "hunter2";

/// What `serve` and `doctor` say of a store, which both refuse.
fn refused(world: &World, address: &str) -> String {
    let file = world.file("address");
    std::fs::write(&file, address).unwrap();
    let store = ["--store-file", file.to_str().unwrap()];
    let served = world.refused(&[&["--listen", "127.0.0.1:0"], &store[..]].concat());
    let output = world.command().arg("doctor").args(store).output().unwrap();
    let examined = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(1), "{examined}");
    for said in [&served, &examined] {
        assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
    }
    assert!(!world.data().join("token_keys.json").exists(), "nothing is made for a store that is refused");
    format!("{served}\n{examined}")
}

#[track_caller]
fn says(said: &str, expected: &[&str]) {
    for expected in expected {
        assert_eq!(said.matches(expected).count(), 2, "`{expected}`, by both, in:\n{said}");
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    let world = World::new();
    for address in ["", "postgres://u:hunter2@db/sealpost", "mongodb+srv://u:hunter2@db.example/sealpost"] {
        says(&refused(&world, address), &["the store must be `embedded` or begin with mongodb://"]);
    }
    for address in
        ["mongodb://u:hunter2", "mongodb://u:hunter2@db:x/sealpost", "mongodb://u:hunter2@db/?w=sometimes&w=0"]
    {
        says(&refused(&world, address), &["mongodb://user:password@host:27017/sealpost?replicaSet=rs0"]);
    }
    let missing = world.refused(&["--listen", "127.0.0.1:0", "--store-file", "/nowhere/at/all"]);
    assert!(missing.contains("/nowhere/at/all, cannot be read"), "{missing}");
}

#[test]
fn a_database_that_cannot_be_reached_is_refused() {
    let world = World::new();
    let said = refused(&world, "mongodb://u:hunter2@127.0.0.1:1/sealpost?serverSelectionTimeoutMS=300");
    says(&said, &["no MongoDB primary can be reached"]);
}

#[test]
fn a_replica_set_of_another_name_is_refused() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost?replicaSet=another&serverSelectionTimeoutMS=300");
    says(&refused(&world, &address), &["no MongoDB primary can be reached"]);
}

#[test]
fn a_password_that_is_wrong_or_missing_is_refused() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start_with(folder.path(), 0, &["--auth"]).unwrap();
    let listens = database.address().to_owned();
    let wrong = refused(&world, &format!("mongodb://sealpost:hunter2@{listens}/sealpost?authSource=admin"));
    says(&wrong, &["MongoDB refused the name or password"]);
    let missing = refused(&world, &format!("mongodb://{listens}/sealpost"));
    says(&missing, &["MongoDB refused (Unauthorized"]);
}

#[test]
fn a_server_on_its_own_is_refused() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start_with(folder.path(), 0, &["--standalone"]).unwrap();
    let listens = database.address().to_owned();
    let said = refused(&world, &format!("mongodb://{listens}/sealpost"));
    says(&said, &["a server on its own does not keep what it confirmed"]);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    let address = format!("mongodb://{listens}/sealpost");
    let beside = mongodb::Client::with_uri_str(&address).await.unwrap();
    let meta = beside.database("sealpost").collection::<Document>("meta");
    meta.insert_one(doc! { "_id": "schema", "version": 99_i64 }).await.unwrap();
    says(&refused(&world, &address), &["the database has version 99", "use a newer program"]);
}

#[tokio::test]
async fn a_weak_write_concern_in_the_address_is_not_followed() {
    let (folder, mut world) = (tempfile::tempdir().unwrap(), World::new());
    let database = Database::start(folder.path(), 0).unwrap();
    let listens = database.address().to_owned();
    // One that cannot be met shows whether it is followed.
    let address = format!("mongodb://{listens}/sealpost?w=5&journal=false&readConcernLevel=local");
    let beside = mongodb::Client::with_uri_str(&address).await.unwrap().database("other").collection::<Document>("a");
    let concern = WriteConcern::builder().w(mongodb::options::Acknowledgment::Nodes(5)).build();
    let followed = beside.insert_one(doc! { "a": 1 }).write_concern(concern).await;
    assert!(followed.is_err(), "the database does not look at write concerns, so that this test shows nothing");
    let server = world.start(&["--listen", "127.0.0.1:0", "--store", &address]);
    server.client().register("alice", "correct horse battery").await;
    let output = world.command().args(["doctor", "--store", &address]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("until a majority of the members has it in their journals"),
        "{said}"
    );
}
