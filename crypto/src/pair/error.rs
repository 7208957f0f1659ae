//! What can go wrong between two devices, one enum per operation.

use crate::device_list::DeviceListError;
use crate::dh::NonContributory;
use crate::identity::IdentityKeyError;
use crate::ids::{OneTimePrekeyId, SignedPrekeyId};
use crate::message::MessageError;
use crate::prekey::PrekeyError;

/// A session that could not be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// The caller's fault: the bundle is another device's, or was verified against other keys.
    #[error("the prekey bundle was verified for another device")]
    WrongDevice,
    /// The peer's or the server's fault: a key of low order.
    #[error("the prekey bundle gives no secret")]
    NonContributory(#[source] NonContributory),
}

/// A message that could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is no session that may send: begin one.
    #[error("there is no session to encrypt in")]
    NoSession,
    /// Longer than [`PLAINTEXT_MAX_BYTES`](crate::padding::PLAINTEXT_MAX_BYTES).
    #[error("the message is too long")]
    TooLong,
    /// The caller's fault: the local device is not in the list that would go out with the message, and the recipient would
    /// refuse it.
    #[error("the local device is not in its own device list")]
    NotInDeviceList,
    /// 2³² − 1 messages without a reply: begin a new session.
    #[error("the sending chain is used up")]
    ChainExhausted,
}

/// A message that could not be decrypted. The sender must learn nothing but that; the variant is for the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// Not the form of any message.
    #[error("the message is malformed")]
    Malformed,
    /// Made by a version that this program doesn't know.
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
    /// The message names another identity than the device has that it is said to come from.
    #[error("the message is from another identity than its sender's")]
    IdentityMismatch,
    /// The message's key was used already: it was decrypted before. Starts no repair.
    #[error("the message was decrypted before")]
    DuplicateMessage,
    /// The message's key was used or has been forgotten; which of the two can't be told any more.
    #[error("the message's key was forgotten")]
    MessageKeyForgotten,
    /// There is no session with this device.
    #[error("there is no session that the message could belong to")]
    UnknownSession,
    /// The message created a session once, and that session is gone. It must not create another.
    #[error("the message's session is gone")]
    SessionGone,
    /// The private half of this signed prekey is not kept any more, or never was ours.
    #[error("the message is for signed prekey {0}, which is not known")]
    UnknownSignedPrekey(SignedPrekeyId),
    /// The private half of this one-time prekey is not kept any more, or never was ours.
    #[error("the message is for one-time prekey {0}, which is not known")]
    UnknownOneTimePrekey(OneTimePrekeyId),
    /// More than 1,000 messages were skipped in one step.
    #[error("the message is too far ahead of its session")]
    TooFarAhead,
    /// Altered, or not of any of our sessions.
    #[error("the message could not be authenticated")]
    AuthenticationFailed,
    /// A key agreement gave an all-zero secret.
    #[error("the message's key agreement gives no secret")]
    NonContributory,
    /// The message is authentic, and not padded as it must be: the sender's program is at fault.
    #[error("the message is not padded as it must be")]
    BadPadding,
    /// The device began [`MAX_BASE_KEYS`](crate::pair::MAX_BASE_KEYS) sessions within the life of our signed prekeys.
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
