//! What operators look at and decide. No client reaches it.

use async_trait::async_trait;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::error::StoreError;

/// One line of the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was disabled; `None` while its owner may log in.
    pub disabled_at: Option<UnixMillis>,
    /// Devices of its current list.
    pub devices: u64,
    /// Messages that wait for all of them.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
}

/// The queue of a device for which something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSummary {
    /// The name of its account.
    pub username: Username,
    /// The device.
    pub address: DeviceAddress,
    /// Messages that wait.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest_at: UnixMillis,
    /// When the device was last connected.
    pub last_seen_at: UnixMillis,
}

/// Figures of the whole store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Accounts.
    pub accounts: u64,
    /// Accounts whose owners may not log in.
    pub disabled_accounts: u64,
    /// Devices of current lists.
    pub devices: u64,
    /// Invites that can still be used.
    pub invites: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Messages that wait.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Devices for which something waits.
    pub queues: u64,
    /// When the oldest waiting message was accepted; `None` if nothing waits.
    pub oldest_at: Option<UnixMillis>,
    /// Devices with so few one-time prekeys that a client would upload more.
    pub one_time_low: u64,
    /// Devices without one-time prekeys.
    pub one_time_none: u64,
    /// Devices whose signed prekey is missing or has expired: no session with them can begin.
    pub signed_expired: u64,
}

/// What operators' tools ask for.
#[async_trait]
pub trait AdminStore {
    /// Returns up to `limit` accounts whose names come after `after`, ordered by name.
    async fn accounts_after(&self, after: Option<&Username>, limit: usize) -> Result<Vec<AccountSummary>, StoreError>;
    /// Forbids logging in from now on, and ends every session. What is stored stays, and messages to the account are
    /// still accepted. Returns the sessions that were live; `None` if there is no such account. Repeating it keeps the
    /// first time.
    async fn disable_account(&self, account: AccountId, now: UnixMillis) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// Allows logging in again. Returns whether it was forbidden; `None` if there is no such account.
    async fn enable_account(&self, account: AccountId) -> Result<Option<bool>, StoreError>;
    /// Sets the password hash whatever it was, and ends every session. Keys, device list and queue stay as they are.
    /// Returns the sessions that were live; `None` if there is no such account.
    async fn reset_password_hash(&self, account: AccountId, new: &str) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// Returns up to `limit` queues, those with the most bytes first.
    async fn largest_queues(&self, limit: usize) -> Result<Vec<QueueSummary>, StoreError>;
    /// Returns the figures of the whole store, by looking at every row: not for every request. Where several nodes
    /// share a store, one of them looks, and the others' answers are up to two minutes old.
    async fn figures(&self, now: UnixMillis) -> Result<StoreFigures, StoreError>;
}
