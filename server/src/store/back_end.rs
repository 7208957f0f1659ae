//! What the services need of a store as a whole.

use async_trait::async_trait;
use sealpost_api::ids::{ServerId, StoreId};

use super::accounts::AccountStore;
use super::admin::AdminStore;
use super::connections::ConnectionStore;
use super::device_lists::DeviceListStore;
use super::devices::DeviceStore;
use super::error::StoreError;
use super::invites::InviteStore;
use super::nodes::NodeStore;
use super::prekeys::PrekeyStore;
use super::queue::QueueStore;
use super::sessions::SessionStore;

/// A back end: all resources, and the life of the store itself.
#[async_trait]
pub trait Store:
    AccountStore
    + DeviceListStore
    + InviteStore
    + SessionStore
    + DeviceStore
    + PrekeyStore
    + ConnectionStore
    + QueueStore
    + AdminStore
    + NodeStore
    + Send
    + Sync
    + 'static
{
    /// Returns the server's id, which is drawn at the first start and never changes.
    fn server_id(&self) -> ServerId;
    /// Returns the store's id, which changes whenever the store is restored from a backup.
    fn store_id(&self) -> StoreId;
    /// Names what a write has reached when it is answered, for logs and metrics.
    fn durability(&self) -> &'static str;
    /// Ends what must not come back to life in a store that holds an older state than before (see [`AfterRestore`]):
    /// the store gets this new id, and every device's key epoch rises. Calling it twice does no harm.
    async fn after_restore(&self, store: StoreId) -> Result<AfterRestore, StoreError>;
    /// Checks that writes are possible now; fails as [`QueueStore::accept`] would.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Refuses new work, finishes what has begun, and releases files and locks. Idempotent.
    async fn close(&self);
}

/// What [`Store::after_restore`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AfterRestore {
    /// Devices, each of which has another key epoch now.
    pub devices: u64,
    /// Sessions that were live: a user who logged out after the backup was taken must stay logged out.
    pub sessions: u64,
    /// One-time prekeys: any of them may have been given away after the backup was taken.
    pub one_time_prekeys: u64,
    /// Invites: any of them may have been used or revoked after the backup was taken.
    pub invites: u64,
}
