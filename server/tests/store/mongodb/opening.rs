use mongodb::bson::{Document, doc};
use sealpost_crypto::UnixMillis;
use sealpost_server::domain::clock::{Clock as _, SystemClock};
use sealpost_server::store::mongodb::{MongoStore, OpenError};
use sealpost_server::store::{SchemaStatus, Store as _};

use crate::mongodb::support::{beside, open};
use sealpost_harness::database::Database;
use sealpost_harness::database::Engine;

fn now() -> UnixMillis {
    SystemClock.now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_agree_on_schema_and_ids() {
    let engine = Engine::shared().unwrap();
    let address = engine.database();
    let before = MongoStore::schema_status(&address).await.unwrap();
    assert_eq!(before, SchemaStatus { current: 0, newest: 1, missing: vec!["initial"] });
    let tasks: Vec<_> = (1..=6)
        .map(|node| {
            let address = address.clone();
            tokio::spawn(async move { open(&address, node).await })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        let store = task.await.unwrap();
        ids.insert((store.server_id(), store.store_id()));
        store.close().await;
    }
    assert_eq!(ids.len(), 1);
    let after = MongoStore::schema_status(&address).await.unwrap();
    assert_eq!(after, SchemaStatus { current: 1, newest: 1, missing: vec![] });
    let names = beside(&address).await.list_collection_names().await.unwrap();
    let leases = beside(&address).await.collection::<Document>("meta").find_one(doc! { "_id": "lease:schema" }).await;
    assert!(names.contains(&"queue".to_owned()) && leases.unwrap().is_none(), "{names:?}");
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_and_not_touched() {
    let engine = Engine::shared().unwrap();
    let address = engine.database();
    let meta = beside(&address).await.collection::<Document>("meta");
    meta.insert_one(doc! { "_id": "schema", "version": 99_i64 }).await.unwrap();
    let error = MongoStore::open(&address, &[1; 48], now()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known: 1 }));
    assert!(error.to_string().contains("use a newer program"));
    assert_eq!(beside(&address).await.list_collection_names().await.unwrap(), ["meta"]);
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_explained_without_being_shown() {
    for address in ["mongodb+srv://u:hunter2@db.example", "mongodb://u:hunter2", "mongodb://u:hun@ter2@db:x/"] {
        let error = MongoStore::open(address, &[1; 48], now()).await.unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("ter2"), "{error}");
        assert!(error.contains("mongodb://user:password@host"), "{error}");
    }
    let balanced = "mongodb://u:hunter2@db.example/sealpost?loadBalanced=true";
    let error = MongoStore::open(balanced, &[1; 48], now()).await.unwrap_err().to_string();
    assert!(error.contains("name the members") && !error.contains("hunter2"), "{error}");
    let nobody = "mongodb://u:hunter2@127.0.0.1:1/sealpost?serverSelectionTimeoutMS=200";
    let error = MongoStore::open(nobody, &[1; 48], now()).await.unwrap_err().to_string();
    assert!(error.contains("no MongoDB primary can be reached") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn threat_65_a_database_that_would_lose_what_it_confirmed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start_with(folder.path(), 0, &["--standalone"]).unwrap();
    let listens = database.address().to_owned();
    let error = MongoStore::open(&format!("mongodb://{listens}/sealpost"), &[1; 48], now()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unfit(_)) && error.to_string().contains("rs.initiate()"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_refused_and_nothing_is_made() {
    let engine = Engine::shared().unwrap();
    let address = engine.database();
    let error = MongoStore::open(&address, &[1; 48], now().saturating_add(3_600_000)).await.unwrap_err();
    assert!(error.to_string().contains("time server"), "{error}");
    assert_eq!(beside(&address).await.list_collection_names().await.unwrap(), Vec::<String>::new());
}
