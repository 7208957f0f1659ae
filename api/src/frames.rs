//! The frames of `GET /v1/stream`: decoded, checked and typed. The protobuf shapes are in `proto/stream.proto`.
//!
//! A frame is one binary WebSocket message. Decoding checks every length and count, so that the rest of a program only
//! sees ids of the right size. Ciphertexts are slices of the received buffer and are not copied.

use bytes::Bytes;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId};

use crate::ids::{ConnectionEpoch, KeyEpoch, MessageNumber, RowId, StoreId};
use crate::limits::{ACK_MAX_IDS, COPIES_MAX, FRAME_MAX_BYTES};
use crate::password::AccessToken;
use crate::problem::ProblemCode;

mod client;
mod server;

/// The generated protobuf shapes.
#[expect(clippy::all, reason = "generated from proto/stream.proto, where the docs are")]
#[expect(unreachable_pub, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/sealpost.v1.rs"));
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than [`FRAME_MAX_BYTES`].
    #[error("the frame is too large")]
    TooLarge,
    /// The bytes are not protobuf, or the frame is of an unknown kind.
    #[error("the frame could not be decoded")]
    Undecodable,
    /// A field has a wrong length, count or value.
    #[error("the frame's field {0} is not valid")]
    Field(&'static str),
}

/// The devices that a [`Send`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendKind {
    /// Every device of the account, all or nothing.
    Message,
    /// One named device: repair and re-send.
    Device,
}

/// One device's copy of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The device.
    pub device: DeviceId,
    /// The device's registration that the sender knows.
    pub registration: RegistrationId,
    /// The ciphertext, of 1 to 98,304 bytes. Its length is checked when the message is accepted, so that the refusal
    /// can name the number.
    pub ciphertext: Bytes,
}

/// A message to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The number, which belongs to its bytes for ever.
    pub number: MessageNumber,
    /// The recipient.
    pub to: AccountId,
    /// Whether all devices or one get a copy.
    pub kind: SendKind,
    /// The copies: at most eight, with distinct device ids.
    pub copies: Vec<Copy>,
}

/// A frame from a client.
#[derive(Clone, Debug)]
pub enum ClientFrame {
    /// An access token: the first frame of a browser, or a renewal.
    Auth {
        /// The token.
        token: AccessToken,
    },
    /// A message.
    Send(Send),
    /// Acknowledges rows that the device has stored durably.
    Ack {
        /// 1 to 256 row ids delivered on this connection.
        ids: Vec<RowId>,
    },
    /// A ping, which [`ServerFrame::Pong`] answers.
    Ping {
        /// A value that the answer repeats.
        nonce: u64,
    },
}

/// The content of a server's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The epoch of this connection, which is already durable.
    pub connection_epoch: ConnectionEpoch,
    /// The device's key epoch.
    pub key_epoch: KeyEpoch,
    /// The store's id. A new value means that the store was restored from a backup.
    pub store: StoreId,
    /// The node's name.
    pub node: String,
    /// The number of rows that wait for this device.
    pub pending: u64,
    /// The highest number accepted from this device, or 0.
    pub highest_number: MessageNumber,
}

/// A queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// The row id, which an `Ack` names.
    pub id: RowId,
    /// The sender device that the server reports. Only the encryption proves it.
    pub from: DeviceAddress,
    /// The sender device's number.
    pub number: MessageNumber,
    /// The time of acceptance by the server's clock, in ms since 1970.
    pub accepted_at: u64,
    /// The copy for this device.
    pub ciphertext: Bytes,
}

/// Why a device of the recipient got no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its queue is full.
    QueueFull,
    /// It has not connected for 30 days.
    Dormant,
}

/// A device that got no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The device.
    pub device: DeviceId,
    /// Why.
    pub reason: SkipReason,
}

/// The answer to an accepted message, which is durable for every device of the recipient except the skipped ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The sender's number.
    pub number: MessageNumber,
    /// The devices without a copy.
    pub skipped: Vec<Skipped>,
    /// The time of acceptance, in ms since 1970; 0 if the number had been accepted before.
    pub accepted_at: u64,
}

/// The answer to a message that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The sender's number.
    pub number: MessageNumber,
    /// Why.
    pub code: ProblemCode,
    /// The devices of the current list without a copy.
    pub missing: Vec<DeviceId>,
    /// The devices with a copy that are not in the list.
    pub extra: Vec<DeviceId>,
    /// The devices whose registration has changed.
    pub stale: Vec<DeviceId>,
    /// Whether some copies can be durable, so that the outcome is unknown.
    pub maybe_stored: bool,
    /// The time in ms until a retry can succeed; 0 if it never can.
    pub retry_after: u64,
}

/// Why accepted messages will not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// They waited for 30 days.
    Expired,
    /// The device was removed.
    DeviceRemoved,
    /// The account was deleted.
    AccountDeleted,
}

/// Messages of this device that will not be delivered. This is a durable notice, acked like a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The row id, which an `Ack` names.
    pub id: RowId,
    /// The recipient device.
    pub to: DeviceAddress,
    /// The numbers of the messages.
    pub numbers: Vec<MessageNumber>,
    /// Why.
    pub reason: ExpiryReason,
}

/// Why messages were not kept for this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedReason {
    /// Its queue was full.
    QueueFull,
    /// It had not come for 30 days.
    Dormant,
    /// They waited for 30 days.
    Expired,
}

/// The number of one sender device's messages that this device will never get. This is a durable notice, acked like a
/// message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The row id, which an `Ack` names.
    pub id: RowId,
    /// The sender device.
    pub from: DeviceAddress,
    /// The number of messages.
    pub count: u64,
    /// Why.
    pub reason: MissedReason,
}

/// A frame from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// The first frame.
    Welcome(Welcome),
    /// A message.
    Deliver(Deliver),
    /// Everything that waited has been delivered on this connection.
    Drained,
    /// A message was accepted.
    Sent(Sent),
    /// A message was not accepted.
    Refused(Refused),
    /// Few one-time prekeys are left.
    PrekeysLow {
        /// The number that is left.
        left: u32,
    },
    /// Messages of this device will not be delivered.
    Expired(Expired),
    /// A hint that an account has a new device list.
    DeviceListChanged {
        /// The account.
        account: AccountId,
        /// The list's version.
        version: u64,
    },
    /// Messages to this device will not be delivered.
    Missed(Missed),
    /// The answer to a ping.
    Pong {
        /// The value of the ping.
        nonce: u64,
    },
    /// A frame of the client could not be used. Nothing was changed.
    Error {
        /// Why.
        code: ProblemCode,
        /// What to check.
        detail: String,
        /// Whether the stream ends after this frame.
        close: bool,
    },
}

fn account(bytes: &Bytes, field: &'static str) -> Result<AccountId, FrameError> {
    fixed(bytes, field).map(AccountId::from_bytes)
}

fn registration(bytes: &Bytes, field: &'static str) -> Result<RegistrationId, FrameError> {
    fixed(bytes, field).map(RegistrationId::from_bytes)
}

fn device(id: u32, field: &'static str) -> Result<DeviceId, FrameError> {
    u8::try_from(id).ok().and_then(|id| DeviceId::new(id).ok()).ok_or(FrameError::Field(field))
}

fn devices(ids: &[u32], field: &'static str) -> Result<Vec<DeviceId>, FrameError> {
    if ids.len() > COPIES_MAX {
        return Err(FrameError::Field(field));
    }
    ids.iter().map(|id| device(*id, field)).collect()
}

fn address(value: Option<&proto::DeviceAddress>, field: &'static str) -> Result<DeviceAddress, FrameError> {
    let value = value.ok_or(FrameError::Field(field))?;
    Ok(DeviceAddress {
        account: account(&value.account, field)?,
        device: device(value.device, field)?,
        registration: registration(&value.registration, field)?,
    })
}

fn encode_address(address: &DeviceAddress) -> proto::DeviceAddress {
    proto::DeviceAddress {
        account: Bytes::copy_from_slice(address.account.as_bytes()),
        device: u32::from(address.device.get()),
        registration: Bytes::copy_from_slice(address.registration.as_bytes()),
    }
}

fn fixed<const N: usize>(bytes: &Bytes, field: &'static str) -> Result<[u8; N], FrameError> {
    bytes.as_ref().try_into().map_err(|_| FrameError::Field(field))
}

fn decode<M: prost::Message + Default>(bytes: Bytes) -> Result<M, FrameError> {
    if bytes.len() > FRAME_MAX_BYTES {
        return Err(FrameError::TooLarge);
    }
    M::decode(bytes).map_err(|_| FrameError::Undecodable)
}

fn row_ids(ids: Vec<u64>) -> Result<Vec<RowId>, FrameError> {
    if ids.is_empty() || ids.len() > ACK_MAX_IDS {
        return Err(FrameError::Field("ack.ids"));
    }
    Ok(ids.into_iter().map(RowId).collect())
}

#[cfg(test)]
mod tests;
