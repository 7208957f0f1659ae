//! The open store.

use async_trait::async_trait;
use mongodb::Client;
use mongodb::bson::doc;
use parking_lot::Mutex;
use sealpost_api::ids::{ServerId, StoreId};

use super::accept::Accepting;
use super::acks::Acking;
use super::db::Db;
use super::error::DbError;
use super::{restore, verify};
use crate::store::back_end::{AfterRestore, Store};
use crate::store::error::StoreError;

/// The open store.
pub struct MongoStore {
    pub(super) db: Db,
    pub(super) client: Client,
    pub(super) accepting: Accepting,
    pub(super) acking: Acking,
    pub(super) server_id: ServerId,
    /// As it was last read. An operator may give the store a new one on another node.
    pub(super) store_id: Mutex<StoreId>,
}

impl std::fmt::Debug for MongoStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MongoStore").field("store_id", &*self.store_id.lock()).finish_non_exhaustive()
    }
}

impl MongoStore {
    /// Reads the store's id again, because another node may have changed it.
    pub(super) async fn read_store_id(&self) -> Result<(), DbError> {
        let id = restore::store_id(&self.db).await?;
        *self.store_id.lock() = id;
        Ok(())
    }

    /// Checks the whole database: counters against rows, and that everything belongs to an account. Returns what is
    /// wrong. Only for a database that nothing else uses meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        Ok(verify::verify(&self.db).await?)
    }
}

#[async_trait]
impl Store for MongoStore {
    fn server_id(&self) -> ServerId {
        self.server_id
    }

    fn store_id(&self) -> StoreId {
        *self.store_id.lock()
    }

    fn durability(&self) -> &'static str {
        "majority"
    }

    async fn after_restore(&self, store: StoreId) -> Result<AfterRestore, StoreError> {
        let ended = restore::after_restore(&self.db, store).await?;
        *self.store_id.lock() = store;
        Ok(ended)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.accepting.open()?;
        self.db.database.run_command(doc! { "ping": 1 }).await.map_err(DbError::from)?;
        Ok(())
    }

    async fn close(&self) {
        tokio::join!(self.accepting.close(), self.acking.close());
        self.client.clone().shutdown().await;
    }
}
