//! What an operator looks at and decides. No service that a client calls uses it.

use async_trait::async_trait;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::StoreError;

/// An invite that nobody has used yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRecord {
    /// Hash of the invite; the invite itself is stored nowhere.
    pub hash: [u8; 32],
    /// When it was made; 0 when that was not noted.
    pub created_at: UnixMillis,
    /// From then on it is not taken any more.
    pub expires_at: UnixMillis,
}

/// A line of the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// Creation time.
    pub created_at: UnixMillis,
    /// Since when its owner may not log in, if so.
    pub disabled_at: Option<UnixMillis>,
    /// Devices of the current list.
    pub devices: u64,
    /// Messages waiting for all of them.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
}

/// A device's queue with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSummary {
    /// The name of its account.
    pub username: Username,
    /// The device.
    pub address: DeviceAddress,
    /// Messages waiting.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest_at: UnixMillis,
    /// When the device was last connected.
    pub last_seen_at: UnixMillis,
}

/// The store as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Accounts.
    pub accounts: u64,
    /// Those whose owners may not log in.
    pub disabled_accounts: u64,
    /// Devices of current lists.
    pub devices: u64,
    /// Invites that can still be used.
    pub invites: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Messages waiting.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Devices with something waiting.
    pub queues: u64,
    /// When the oldest waiting message was accepted; `None` when nothing waits.
    pub oldest_at: Option<UnixMillis>,
    /// Devices with fewer one-time prekeys than clients fill up at.
    pub one_time_low: u64,
    /// Devices with none.
    pub one_time_none: u64,
    /// Devices whose signed prekey has expired or is missing: nobody can begin a session with them.
    pub signed_expired: u64,
}

/// What an operator's tools ask for.
#[async_trait]
pub trait AdminStore {
    /// Invites that can still be used at `now`, the newest first, at most `limit`.
    async fn invites(&self, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, StoreError>;
    /// Deletes an invite; whether it was there.
    async fn remove_invite(&self, hash: [u8; 32]) -> Result<bool, StoreError>;
    /// Accounts whose names come after `after`, in the order of names, at most `limit`.
    async fn accounts_after(&self, after: Option<&Username>, limit: usize) -> Result<Vec<AccountSummary>, StoreError>;
    /// Forbids log-in from now on and ends every session. What is stored stays, and messages to the account are still
    /// accepted. The sessions that were live; `None` for no account. Doing it twice keeps the first time.
    async fn disable_account(&self, account: AccountId, now: UnixMillis) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// Allows log-in again; whether it was forbidden, `None` for no account.
    async fn enable_account(&self, account: AccountId) -> Result<Option<bool>, StoreError>;
    /// Sets the password hash, whatever it was, and ends every session, whose ids are returned. Keys, device list and queue
    /// stay as they are. `None` for no account.
    async fn reset_password_hash(&self, account: AccountId, new: &str) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// The queues with the most bytes, at most `limit`.
    async fn largest_queues(&self, limit: usize) -> Result<Vec<QueueSummary>, StoreError>;
    /// The whole, looked at row by row: not for every request. Where several nodes share a store, one of them looks, and what the
    /// others answer is up to two minutes old.
    async fn figures(&self, now: UnixMillis) -> Result<StoreFigures, StoreError>;
}
