//! Invites: each pays for one account until it expires.

use async_trait::async_trait;
use sealpost_crypto::UnixMillis;

use super::error::StoreError;

/// An unused invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRecord {
    /// Hash of the invite; the invite itself is stored nowhere.
    pub hash: [u8; 32],
    /// When it was made; 0 if that was not recorded.
    pub created_at: UnixMillis,
    /// The time from which on it cannot be used.
    pub expires_at: UnixMillis,
}

/// Invites.
#[async_trait]
pub trait InviteStore {
    /// Stores the hash of an invite (32 bytes) that can be used until `expires_at`.
    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError>;
    /// Returns up to `limit` invites that can still be used at `now`, newest first.
    async fn invites(&self, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, StoreError>;
    /// Deletes an invite. Returns whether it existed.
    async fn remove_invite(&self, hash: [u8; 32]) -> Result<bool, StoreError>;
}
