//! What can go wrong between two devices, one enum per operation.

use crate::device_list::DeviceListError;
use crate::dh::NonContributory;
use crate::identity::IdentityKeyError;
use crate::ids::{OneTimePrekeyId, SignedPrekeyId};
use crate::message::MessageError;
use crate::prekey::PrekeyError;

/// Why a session could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// The caller's fault: the bundle is for another device, or was verified against other keys.
    #[error("the prekey bundle was verified for another device")]
    WrongDevice,
    /// The peer's or the server's fault: a key has low order.
    #[error("the prekey bundle gives no secret")]
    NonContributory(#[source] NonContributory),
}

/// Why a message could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// No session can send: start one.
    #[error("there is no session to encrypt in")]
    NoSession,
    /// The message is longer than [`PLAINTEXT_MAX_BYTES`](crate::padding::PLAINTEXT_MAX_BYTES).
    #[error("the message is too long")]
    TooLong,
    /// The caller's fault: the local device is not in the list that the message would carry, so the recipient would refuse
    /// the message.
    #[error("the local device is not in its own device list")]
    NotInDeviceList,
    /// 2³² − 1 messages were sent without a reply: start a new session.
    #[error("the sending chain is used up")]
    ChainExhausted,
}

/// Why a message could not be decrypted. Tell the sender only that it failed; the variant is for the recipient alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// The bytes are not a message.
    #[error("the message is malformed")]
    Malformed,
    /// The version is unknown: a newer program wrote the message.
    #[error("the message has an unsupported version")]
    UnsupportedVersion,
    /// A key of the message is not canonical, or has low order.
    #[error("the message holds an unusable key")]
    BadKey(#[source] PrekeyError),
    /// The sender's identity key is not canonical, or has small order.
    #[error("the message holds an unusable identity key")]
    BadIdentityKey(#[source] IdentityKeyError),
    /// The sender's device list is malformed or not signed.
    #[error("the message holds an unacceptable device list")]
    BadDeviceList(#[source] DeviceListError),
    /// The message names an identity other than the device's that it is said to come from.
    #[error("the message is from another identity than its sender's")]
    IdentityMismatch,
    /// The message's key was used already, so the message was decrypted before. It needs no repair.
    #[error("the message was decrypted before")]
    DuplicateMessage,
    /// The message's key was either used or forgotten; the session no longer knows which.
    #[error("the message's key was forgotten")]
    MessageKeyForgotten,
    /// There is no session with this device.
    #[error("there is no session that the message could belong to")]
    UnknownSession,
    /// The message created a session that has been dropped since. It must not create another.
    #[error("the message's session is gone")]
    SessionGone,
    /// The private half of this signed prekey is no longer kept, or never was ours.
    #[error("the message is for signed prekey {0}, which is not known")]
    UnknownSignedPrekey(SignedPrekeyId),
    /// The private half of this one-time prekey is no longer kept, or never was ours.
    #[error("the message is for one-time prekey {0}, which is not known")]
    UnknownOneTimePrekey(OneTimePrekeyId),
    /// The message skips more than 1,000 others in one step.
    #[error("the message is too far ahead of its session")]
    TooFarAhead,
    /// The message was altered, or belongs to none of our sessions.
    #[error("the message could not be authenticated")]
    AuthenticationFailed,
    /// A key agreement gave an all-zero secret.
    #[error("the message's key agreement gives no secret")]
    NonContributory,
    /// The message is authentic but wrongly padded: the sender's program is at fault.
    #[error("the message is not padded as it must be")]
    BadPadding,
    /// The device started [`MAX_BASE_KEYS`](crate::pair::MAX_BASE_KEYS) sessions within the life of our signed prekeys.
    #[error("the device began too many sessions")]
    TooManySessions,
}

impl From<MessageError> for DecryptError {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Malformed => Self::Malformed,
            MessageError::UnsupportedVersion => Self::UnsupportedVersion,
            MessageError::BadKey(error) => Self::BadKey(error),
            MessageError::BadIdentityKey(error) => Self::BadIdentityKey(error),
            MessageError::BadDeviceList(error) => Self::BadDeviceList(error),
        }
    }
}
