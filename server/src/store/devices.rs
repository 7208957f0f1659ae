//! Devices of current lists.

use async_trait::async_trait;
use sealpost_api::ids::{KeyEpoch, MessageNumber};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, SignedPrekey, UnixMillis};

use super::error::StoreError;

/// What the store knows of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The device.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// When it was last connected, or added.
    pub last_seen_at: UnixMillis,
    /// Its key epoch, which a restore raises.
    pub key_epoch: KeyEpoch,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// Highest one-time prekey id that was ever uploaded; 0 if none was.
    pub max_issued_id: u32,
    /// The signed prekey, if there is one.
    pub signed_prekey: Option<SignedPrekey>,
    /// Messages that wait for it.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Highest message number that was accepted from it.
    pub highest_number: MessageNumber,
}

/// Devices.
#[async_trait]
pub trait DeviceStore {
    /// Returns a device if it is in its account's current list.
    async fn device(&self, address: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError>;
    /// Returns the devices of the account's current list, by device id; `None` if there is no such account.
    async fn devices(&self, account: AccountId) -> Result<Option<Vec<DeviceRecord>>, StoreError>;
}
