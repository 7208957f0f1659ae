//! What only a store for many nodes can be asked: several nodes at once, a database that dies, and steps that broke off.

#[cfg(test)]
#[path = "store_mongodb/broken_off.rs"]
mod broken_off;
#[cfg(test)]
#[path = "support/mongodb.rs"]
mod engine;
#[cfg(test)]
#[path = "store_mongodb/killed.rs"]
mod killed;
#[cfg(test)]
#[path = "store_mongodb/nodes.rs"]
mod nodes;
#[cfg(test)]
#[path = "store_mongodb/opening.rs"]
mod opening;
#[cfg(test)]
#[path = "support/secantusdb.rs"]
mod secantusdb;
#[cfg(test)]
#[path = "store_conformance/world.rs"]
mod world;

#[cfg(test)]
mod support {
    use std::sync::Arc;

    use sealpost_server::domain::clock::{Clock as _, SystemClock};
    use sealpost_server::store::Store;
    use sealpost_server::store::mongodb::MongoStore;

    use crate::world::S;

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
}
