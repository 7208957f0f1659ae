//! Opening a database as a store.

use parking_lot::Mutex;
use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::UnixMillis;

use super::accept::Accepting;
use super::acks::Acking;
use super::connect::{connect, judge};
use super::db::Db;
use super::open_error::OpenError;
use super::store::MongoStore;
use super::{migrations, moved, restore, values};
use crate::store::findings::{Finding, Severity};
use crate::store::schema::SchemaStatus;

impl MongoStore {
    /// Connects, applies the versions of the schema that are missing (one node at a time), and reads the ids of server
    /// and store. The first start draws these from `random` (48 bytes; the last 16 name this process among the nodes).
    ///
    /// # Errors
    /// [`OpenError`], whose text is meant for the person who started the program.
    pub async fn open(address: &str, random: &[u8; 48], now: UnixMillis) -> Result<Self, OpenError> {
        let (client, database, connection) = connect(address).await?;
        for finding in judge(&database, connection, now).await? {
            match finding.severity {
                Severity::Good => {}
                Severity::Warning => tracing::warn!(about = finding.about, "{}", finding.text),
                Severity::Refused => return Err(OpenError::Unfit(format!("{}: {}", finding.about, finding.text))),
            }
        }
        let (&[server, store, node], []) = random.as_chunks::<16>() else {
            return Err(OpenError::Damaged("random bytes of another length"));
        };
        let db = Db::new(database, hex::encode(node).into());
        migrations::apply(&db, now).await?;
        moved::refuse_moved(&db.database).await?;
        let ids = restore::ids(&db, &server, &store).await?;
        let (accepting, acking) = (Accepting::begin(&db), Acking::begin(&db));
        Ok(Self {
            db,
            client,
            accepting,
            acking,
            server_id: ServerId::from_bytes(values::fixed(&ids.server_id)?),
            store_id: Mutex::new(StoreId::from_bytes(values::fixed(&ids.store_id)?)),
        })
    }

    /// Returns the schema's version, without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] if the database cannot be used.
    pub async fn schema_status(address: &str) -> Result<SchemaStatus, OpenError> {
        let (_client, database, _) = connect(address).await?;
        migrations::status(&database).await
    }

    /// Examines a database, without changing anything there.
    ///
    /// # Errors
    /// [`OpenError`] if the database cannot be reached.
    pub async fn examine(address: &str, now: UnixMillis) -> Result<Vec<Finding>, OpenError> {
        let (_client, database, connection) = connect(address).await?;
        judge(&database, connection, now).await
    }
}
