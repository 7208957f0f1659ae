//! Invites.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_crypto::UnixMillis;

use super::db::Db;
use super::documents::meta::Invite;
use super::error::DbError;
use super::store::MongoStore;
use super::values;
use crate::store::error::StoreError;
use crate::store::invites::{InviteRecord, InviteStore};

#[async_trait]
impl InviteStore for MongoStore {
    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let add = doc! {
            "$max": { "expires_at": values::time(expires_at) },
            "$setOnInsert": { "created_at": values::time(now), "account": null },
        };
        let id = doc! { "_id": values::binary(&invite_hash) };
        self.db.invites.update_one(id, add).upsert(true).await.map_err(DbError::from)?;
        Ok(())
    }

    async fn invites(&self, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, StoreError> {
        Ok(invites(&self.db, now, limit).await?)
    }

    async fn remove_invite(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        let invite = doc! { "_id": values::binary(&hash) };
        Ok(self.db.invites.delete_one(invite).await.map_err(DbError::from)?.deleted_count > 0)
    }
}

/// See [`InviteStore::invites`].
async fn invites(db: &Db, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let good = doc! { "expires_at": { "$gt": values::time(now) }, "account": null };
    let newest = doc! { "created_at": -1, "_id": 1 };
    let found: Vec<Invite> =
        db.invites.find(good).sort(newest).limit(values::limit(limit)).await?.try_collect().await?;
    found.iter().map(Invite::record).collect()
}
