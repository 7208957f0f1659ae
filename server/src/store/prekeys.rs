//! Prekeys of devices.

use async_trait::async_trait;
use sealpost_api::ids::KeyEpoch;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, OneTimePrekey, SignedPrekey, UnixMillis};

use super::error::StoreError;
use crate::domain::uploads::UploadRefusal;

/// The keys of one device, with verified signatures.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// The device, in the list that comes with the keys.
    pub device: DeviceId,
    /// Its signed prekey.
    pub signed_prekey: SignedPrekey,
    /// Its one-time prekeys: at most 100, ids strictly ascending.
    pub one_time_prekeys: Vec<OneTimePrekey>,
}

/// The answer to [`PrekeyStore::upload_prekeys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadPrekeys {
    /// The keys are stored. Ids at or below the device's `max_issued_id` changed nothing.
    Stored,
    /// The device has another key epoch; nothing was changed.
    KeyEpochConflict,
    /// This id is stored with another key; nothing was changed.
    IdConflict(u32),
    /// More than 200 one-time prekeys would be stored; nothing was changed.
    Full,
    /// The device is in no list.
    UnknownDevice,
}

impl From<UploadRefusal> for UploadPrekeys {
    fn from(refusal: UploadRefusal) -> Self {
        match refusal {
            UploadRefusal::KeyEpochConflict => Self::KeyEpochConflict,
            UploadRefusal::IdConflict(id) => Self::IdConflict(id),
            UploadRefusal::Full => Self::Full,
        }
    }
}

/// A prekey bundle as it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBundle {
    /// The device.
    pub address: DeviceAddress,
    /// Its signed prekey; `None` if there is none or it has expired.
    pub signed_prekey: Option<SignedPrekey>,
    /// Its oldest one-time prekey, if one was asked for and left. It is deleted durably and never given again.
    pub one_time_prekey: Option<OneTimePrekey>,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// Whether the device was away for longer than the retention.
    pub dormant: bool,
}

/// Prekeys.
#[async_trait]
pub trait PrekeyStore {
    /// Stores prekeys. One-time ids above `max_issued_id` are new. Ids at or below it change nothing, except that a
    /// stored id with another key is a conflict. A signed prekey replaces one with a lower id.
    async fn upload_prekeys(
        &self,
        address: DeviceAddress,
        key_epoch: KeyEpoch,
        one_time: Vec<OneTimePrekey>,
        signed: Option<SignedPrekey>,
    ) -> Result<UploadPrekeys, StoreError>;
    /// Returns the ids of the one-time prekeys that are left, ascending; `None` if there is no such device.
    async fn one_time_prekey_ids(&self, address: DeviceAddress) -> Result<Option<Vec<u32>>, StoreError>;
    /// Deletes all one-time prekeys of the device. Returns how many there were.
    async fn discard_one_time_prekeys(&self, address: DeviceAddress) -> Result<u32, StoreError>;
    /// Takes a bundle. With `with_one_time`, one atomic step deletes the oldest one-time prekey and returns it: a crash
    /// may burn a key, but never gives it twice. `None` if there is no such device.
    async fn take_bundle(
        &self,
        account: AccountId,
        device: DeviceId,
        with_one_time: bool,
        now: UnixMillis,
    ) -> Result<Option<TakenBundle>, StoreError>;
}
