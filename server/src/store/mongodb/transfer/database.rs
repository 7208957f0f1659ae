//! A database at one end of a move: read while no node runs, or filled before the first one does.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use crate::store::findings::Severity;
use crate::store::mongodb::connect::{connect, judge};
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::accounts::Account;
use crate::store::mongodb::documents::devices::Hot;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::moved::refuse_moved;
use crate::store::mongodb::open_error::OpenError;
use crate::store::mongodb::{expiry, migrations, values};

/// Names a move in leases. A second move takes over what a killed one held.
const HOLDER: &str = "move";

/// A database that no node uses.
pub struct MongoTransfer {
    pub(super) db: Db,
    /// The accounts that were put last. They are written after everything that belongs to them.
    pub(super) accounts: Vec<Account>,
    /// Their devices, whose counters grow with each message.
    pub(super) devices: BTreeMap<DeviceAddress, Hot>,
}

impl MongoTransfer {
    /// A database with nothing put yet.
    const fn new(db: Db) -> Self {
        Self { db, accounts: Vec::new(), devices: BTreeMap::new() }
    }

    /// A store to read. It must have the newest schema. `now` shows whether a node used it a moment ago.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn source(address: &str, now: UnixMillis) -> Result<Self, OpenError> {
        let db = open(address, now).await?;
        refuse_moved(&db.database).await?;
        let status = migrations::status(&db.database).await?;
        if status.current != status.newest {
            return Err(OpenError::Unfit(match status.current {
                0 => "there is no store to move".to_owned(),
                _ => "its schema is not the newest; run `sealpost-server migrate` first".to_owned(),
            }));
        }
        let mut leases = db.meta.find(doc! {}).await?;
        while let Some(lease) = leases.try_next().await? {
            let until = values::millis(lease.get_i64("until").unwrap_or(0));
            if until > now && lease.get_str("holder").is_ok_and(|holder| holder != HOLDER) {
                return Err(OpenError::Unfit(format!(
                    "a node used it a moment ago; stop all nodes, and try again in {} s",
                    until.since(now).div_ceil(1_000)
                )));
            }
        }
        // What a removed device left in its queue is not moved; its senders are told.
        expiry::sweep(&db, UnixMillis(0), now, 0).await.map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self::new(db))
    }

    /// A store to fill.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn target(address: &str, now: UnixMillis) -> Result<Self, OpenError> {
        let db = open(address, now).await?;
        migrations::apply(&db, now).await?;
        Ok(Self::new(db))
    }

    /// Returns whether nothing was ever stored.
    pub(super) async fn is_empty(&self) -> Result<bool, DbError> {
        async fn any<T: Send + Sync>(collection: &Collection<T>, filter: Document) -> Result<bool, DbError> {
            Ok(collection.clone_with_type::<Document>().find_one(filter).await?.is_some())
        }
        let db = &self.db;
        let held = any(&db.accounts, doc! {}).await?
            || any(&db.lists, doc! {}).await?
            || any(&db.devices, doc! {}).await?
            || any(&db.prekeys, doc! {}).await?
            || any(&db.queue, doc! {}).await?
            || any(&db.notices, doc! {}).await?
            || any(&db.invites, doc! {}).await?
            || any(&db.retired, doc! {}).await?
            || any(&db.meta, doc! { "_id": "store" }).await?;
        Ok(!held)
    }
}

/// Connects, and refuses a database on which the promises would not hold.
async fn open(address: &str, now: UnixMillis) -> Result<Db, OpenError> {
    let (_client, database, connection) = connect(address).await?;
    for finding in judge(&database, connection, now).await? {
        if finding.severity == Severity::Refused {
            return Err(OpenError::Unfit(format!("{}: {}", finding.about, finding.text)));
        }
    }
    Ok(Db::new(database, HOLDER.into()))
}
