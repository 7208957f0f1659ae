//! Many updates of one collection with one call.

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};

use super::concerns::MAJORITY_TIMEOUT;
use super::db::Db;

/// One update.
pub(super) struct Update {
    /// Which document.
    pub(super) of: Document,
    /// What changes in it.
    pub(super) change: Document,
}

impl Db {
    /// Performs these updates, in any order and each on its own. Returns whether each found its document and a majority
    /// has all of them in its journals. If not, any of them may have been done.
    pub(super) async fn update_each<T: Send + Sync>(&self, collection: &Collection<T>, updates: Vec<Update>) -> bool {
        let wanted = i64::try_from(updates.len()).unwrap_or(i64::MAX);
        let updates: Vec<Document> =
            updates.into_iter().map(|Update { of, change }| doc! { "q": of, "u": change }).collect();
        let timeout = i64::try_from(MAJORITY_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let command = doc! {
            "update": collection.name(),
            "updates": updates,
            "ordered": false,
            "writeConcern": { "w": "majority", "j": true, "wtimeout": timeout },
        };
        let Ok(done) = self.database.run_command(command).await else { return false };
        let found = match done.get("n") {
            Some(Bson::Int32(found)) => i64::from(*found),
            Some(Bson::Int64(found)) => *found,
            _ => 0,
        };
        found == wanted && !done.contains_key("writeErrors") && !done.contains_key("writeConcernError")
    }
}
