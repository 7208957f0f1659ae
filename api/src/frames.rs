//! The frames of `GET /v1/stream`: decoded, checked and typed. The protobuf shapes are in `proto/stream.proto`.
//!
//! A frame is one binary WebSocket message. Decoding checks every length and count, so that the rest of a program only
//! meets ids of the right size; ciphertexts are slices of the received buffer and are not copied.

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

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_MAX_BYTES`].
    #[error("the frame is too large")]
    TooLarge,
    /// Not protobuf, or of an unknown kind.
    #[error("the frame could not be decoded")]
    Undecodable,
    /// A field has a wrong length, count or value.
    #[error("the frame's field {0} is not valid")]
    Field(&'static str),
}

/// Whom a [`Send`] is for.
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
    /// Its registration, as the sender knows it.
    pub registration: RegistrationId,
    /// 1 to 98,304 bytes; the bound is checked where it is accepted, so that it can be answered by number.
    pub ciphertext: Bytes,
}

/// A message to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Belongs to its bytes for ever.
    pub number: MessageNumber,
    /// The recipient.
    pub to: AccountId,
    /// To all of its devices or to one.
    pub kind: SendKind,
    /// At most eight, with distinct device ids.
    pub copies: Vec<Copy>,
}

/// What a client sends.
#[derive(Clone, Debug)]
pub enum ClientFrame {
    /// An access token: a browser's first frame, or a renewal.
    Auth {
        /// The token.
        token: AccessToken,
    },
    /// A message.
    Send(Send),
    /// Rows that the device has made durable.
    Ack {
        /// 1 to 256 row ids delivered on this connection.
        ids: Vec<RowId>,
    },
    /// Answered by [`ServerFrame::Pong`].
    Ping {
        /// Echoed.
        nonce: u64,
    },
}

/// The first frame of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The epoch of this connection, already durable.
    pub connection_epoch: ConnectionEpoch,
    /// The device's key epoch.
    pub key_epoch: KeyEpoch,
    /// Another value than before: the store was restored from a backup.
    pub store: StoreId,
    /// The node's name.
    pub node: String,
    /// Rows waiting for this device.
    pub pending: u64,
    /// The highest number accepted from this device; 0 when none was.
    pub highest_number: MessageNumber,
}

/// A queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// Names the row in an `Ack`.
    pub id: RowId,
    /// The sender device, as the server saw it; the encryption proves it.
    pub from: DeviceAddress,
    /// The sender device's number.
    pub number: MessageNumber,
    /// ms since 1970, the server's clock.
    pub accepted_at: u64,
    /// The device's copy.
    pub ciphertext: Bytes,
}

/// Why a device of the recipient got no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its queue is full.
    QueueFull,
    /// It has not come for 30 days.
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

/// A message was accepted: durable for every device of the recipient but the skipped ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The sender's number.
    pub number: MessageNumber,
    /// Devices without a copy.
    pub skipped: Vec<Skipped>,
    /// ms since 1970; 0 when this number had been accepted before.
    pub accepted_at: u64,
}

/// A message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The sender's number.
    pub number: MessageNumber,
    /// Why.
    pub code: ProblemCode,
    /// Devices of the current list without a copy.
    pub missing: Vec<DeviceId>,
    /// Devices with a copy that are not in the list.
    pub extra: Vec<DeviceId>,
    /// Devices whose registration is another one now.
    pub stale: Vec<DeviceId>,
    /// Some copies may be durable: the outcome is unknown.
    pub maybe_stored: bool,
    /// ms until a retry is of use; 0 when it never is.
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

/// Messages of this device that will not be delivered: a durable notice, acked like a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Names the notice in an `Ack`.
    pub id: RowId,
    /// The recipient device.
    pub to: DeviceAddress,
    /// This device's numbers.
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

/// How many messages of one sender device this device will never get: a durable notice, acked like a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Names the notice in an `Ack`.
    pub id: RowId,
    /// The sender device.
    pub from: DeviceAddress,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: MissedReason,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// The first frame.
    Welcome(Welcome),
    /// A message.
    Deliver(Deliver),
    /// All that waited has been delivered on this connection.
    Drained,
    /// Accepted.
    Sent(Sent),
    /// Not accepted.
    Refused(Refused),
    /// One-time prekeys run low.
    PrekeysLow {
        /// How many are left.
        left: u32,
    },
    /// Own messages that will not be delivered.
    Expired(Expired),
    /// An account has another device list: a hint.
    DeviceListChanged {
        /// The account.
        account: AccountId,
        /// The list's version.
        version: u64,
    },
    /// Others' messages that will not be delivered.
    Missed(Missed),
    /// Answers a ping.
    Pong {
        /// As in the ping.
        nonce: u64,
    },
    /// Something sent could not be used; nothing was changed.
    Error {
        /// Why.
        code: ProblemCode,
        /// What to look at.
        detail: String,
        /// The socket ends after this frame.
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
