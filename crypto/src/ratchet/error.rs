//! Why a message could not be opened or sealed.

use super::message_key::BadTag;
use crate::dh::NonContributory;

/// Why a message could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The tag does not verify, or the chain has no message of this number.
    AuthenticationFailed,
    /// The message's key was used already.
    Duplicate,
    /// The message's key was used or forgotten; the session no longer knows which.
    MessageKeyForgotten,
    /// The message skips too many others.
    TooFarAhead,
    /// The ratchet key gives an all-zero secret.
    NonContributory,
}

impl From<BadTag> for OpenError {
    fn from(_: BadTag) -> Self {
        Self::AuthenticationFailed
    }
}

impl From<NonContributory> for OpenError {
    fn from(NonContributory: NonContributory) -> Self {
        Self::NonContributory
    }
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealError {
    /// 2³² − 1 messages were sent without a reply.
    ChainExhausted,
    /// The plaintext is longer than the AEAD can encrypt.
    TooLong,
}
