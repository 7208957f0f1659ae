//! Signed device lists: the current one of each account, and those before it.

use async_trait::async_trait;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, UnixMillis};

use super::error::StoreError;
use super::prekeys::DeviceKeys;
use super::sessions::LogIn;

/// A device list to publish.
#[derive(Clone, Debug)]
pub struct PublishList {
    /// The list, verified. The caller has checked that it may follow the list that it read; the store applies it only
    /// if that one is still current, by its hash.
    pub device_list: DeviceList,
    /// Keys of the devices that are new in it.
    pub added: Vec<DeviceKeys>,
    /// The log-in that begins a new identity.
    pub log_in: Option<LogIn>,
}

/// The answer to [`DeviceListStore::publish_device_list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The list is current now.
    Published {
        /// Devices (or registrations) that left the list. Their sessions, prekeys and queues are gone, and the senders
        /// of what waited for them have durable notices.
        removed: Vec<DeviceAddress>,
        /// The sessions that ended with them.
        ended_sessions: Vec<SessionId>,
        /// Devices that have a new notice to read.
        notified: Vec<DeviceAddress>,
    },
    /// This very list was current already; nothing was changed.
    AlreadyCurrent,
    /// Another list is current; nothing was changed.
    Conflict,
    /// There is no such account, or its owner may not log in.
    UnknownAccount,
    /// The password was changed meanwhile; nothing was changed.
    PasswordChanged,
    /// The session id is in use; nothing was changed.
    SessionTaken,
}

/// Device lists.
#[async_trait]
pub trait DeviceListStore {
    /// Makes a list current if the list that it follows still is, by comparing hashes.
    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError>;
    /// Returns up to `limit` lists with versions above `after`, ascending, and the current version; `None` if there is
    /// no such account.
    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError>;
}
