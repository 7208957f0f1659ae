//! What only a store for many nodes can be asked: several nodes at once, a database that dies, and steps that broke off.

mod broken_off;
mod doubt;
mod failing;
mod killed;
mod nodes;
mod opening;
mod removed;
mod round_trips;

mod support {
    use std::sync::Arc;

    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Document, doc};
    use sealpost_crypto::DeviceAddress;
    use sealpost_server::domain::clock::{Clock as _, SystemClock};
    use sealpost_server::store::Store;
    use sealpost_server::store::mongodb::MongoStore;

    use crate::world::S;
    use sealpost_harness::database::Engine;

    /// A node's store on this database.
    pub(crate) async fn open(address: &str, node: u8) -> Arc<MongoStore> {
        Arc::new(MongoStore::open(address, &[node; 48], SystemClock.now()).await.unwrap())
    }

    /// As the cases of the conformance suite know it.
    pub(crate) fn any(store: &Arc<MongoStore>) -> S {
        Arc::clone(store) as Arc<dyn Store>
    }

    /// The same database, beside the store.
    pub(crate) async fn beside(address: &str) -> mongodb::Database {
        let client = mongodb::Client::with_uri_str(address).await.unwrap();
        client.default_database().unwrap()
    }

    /// A store on a database of its own, and that database beside it.
    pub(crate) struct Scene {
        /// Ends with the scene.
        _engine: Arc<Engine>,
        pub(crate) address: String,
        pub(crate) store: Arc<MongoStore>,
        pub(crate) s: S,
        pub(crate) database: mongodb::Database,
    }

    impl Scene {
        pub(crate) async fn new() -> Self {
            let engine = Engine::shared().unwrap();
            let address = engine.database();
            let (store, database) = (open(&address, 1).await, beside(&address).await);
            let s = any(&store);
            Self { _engine: engine, address, store, s, database }
        }

        pub(crate) fn collection(&self, name: &str) -> mongodb::Collection<Document> {
            self.database.collection(name)
        }

        /// The collection takes no new documents, or does again.
        pub(crate) async fn refuse(&self, collection: &str, refuses: bool) {
            let validator = if refuses {
                doc! { "never": { "$exists": true } }
            } else {
                doc! {}
            };
            self.database.run_command(doc! { "collMod": collection, "validator": validator }).await.unwrap();
        }
    }

    pub(crate) fn binary(bytes: &[u8]) -> Binary {
        Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
    }

    /// The document of a device.
    pub(crate) fn of(address: &DeviceAddress) -> Document {
        doc! { "_id": binary(&address.to_bytes()) }
    }
}
