//! Connections of devices: of several connections of one device, only the newest may send and acknowledge.

use async_trait::async_trait;
use sealpost_api::ids::{ConnectionEpoch, KeyEpoch, MessageNumber, SessionId};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::error::StoreError;

/// The answer to [`ConnectionStore::open_connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenConnection {
    /// The connection's epoch is durable, and every earlier one is void.
    Opened {
        /// The new epoch.
        epoch: ConnectionEpoch,
        /// The device's key epoch.
        key_epoch: KeyEpoch,
        /// Rows that wait, notices included.
        pending: u64,
        /// Highest number that was accepted from the device; 0 if none was.
        highest_number: MessageNumber,
        /// One-time prekeys left.
        one_time_left: u32,
    },
    /// The session has ended, or is of another generation or device; or the device is in no list.
    Refused,
}

/// Connections.
#[async_trait]
pub trait ConnectionStore {
    /// Begins a connection if the session is live: raises the device's epoch and records that it was seen.
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError>;
    /// Records that the device was seen at `now`. Called while it is connected, and at the end.
    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError>;
}
