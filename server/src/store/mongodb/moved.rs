//! Marks that a move leaves in a database.

use mongodb::Database;
use mongodb::bson::{Document, doc};

use super::open_error::OpenError;

/// The document in `meta` that exists while a move into the database goes on.
pub(super) const MOVE: &str = "move";
/// The document in `meta` that says that the store was moved elsewhere.
pub(super) const MOVED: &str = "moved";

/// Refuses a database into which a move has begun and not finished, and one whose store was moved elsewhere.
pub(super) async fn refuse_moved(database: &Database) -> Result<(), OpenError> {
    let meta = database.collection::<Document>("meta");
    let note = meta.find_one(doc! { "_id": { "$in": [MOVE, MOVED] } }).await?;
    match note.as_ref().and_then(|note| note.get_str("_id").ok()) {
        None => Ok(()),
        Some(MOVE) => Err(OpenError::Unfit(
            "a move into this database has not finished; run the same `sealpost-server move` again, or name another database"
                .to_owned(),
        )),
        Some(_) => Err(OpenError::Unfit(
            "what was here was moved to another store; start the server on that one. To go on from here all the same, without \
             what was sent there since, delete the document `moved` of the collection `meta`"
                .to_owned(),
        )),
    }
}
