//! Invites.

use async_trait::async_trait;
use rusqlite::params;
use sealpost_crypto::UnixMillis;

use super::store::EmbeddedStore;
use super::tables::{columns, invites};
use super::threads::job::Class;
use crate::store::error::StoreError;
use crate::store::invites::{InviteRecord, InviteStore};

#[async_trait]
impl InviteStore for EmbeddedStore {
    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(Class::Direct, move |tx| invites::add(tx.db, invite_hash, expires_at, now)).await
    }

    async fn invites(&self, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT invite_hash, created_at, expires_at FROM invites WHERE expires_at > ?1 \
                 ORDER BY created_at DESC, invite_hash LIMIT ?2",
            )?;
            let found = select.query_map(params![columns::time(now), columns::limit(limit)], invites::record)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn remove_invite(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        self.write(Class::Direct, move |tx| invites::remove(tx.db, hash)).await
    }
}
