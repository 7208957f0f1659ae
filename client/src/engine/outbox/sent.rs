//! What was sent under a number.

use sealpost_api::ids::MessageId;
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_crypto::UnixMillis;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::message::Assigned;
use crate::engine::codec::{bin, parse, write};
use crate::engine::error::EngineError;
use crate::engine::store::Row;
use crate::vault::Table;

/// What was sent under a number.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentRecord {
    #[serde(with = "bin")]
    pub(crate) message_id: MessageId,
    /// The history position of a text.
    pub(crate) history: Option<u64>,
    pub(crate) sent_at: u64,
    pub(crate) encrypted_at: u64,
    pub(crate) accepted: bool,
    pub(crate) copies: Vec<SentCopy>,
}

/// One device's copy of what was sent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentCopy {
    pub(crate) place: Assigned,
    /// How often it was sent again.
    pub(crate) repaired: u8,
}

impl SentRecord {
    /// Returns until when the server may still deliver it, or be asked for it again.
    pub(crate) fn kept_until(&self) -> UnixMillis {
        UnixMillis(self.encrypted_at).saturating_add(QUEUE_RETENTION_MILLIS)
    }
}

impl Row for SentRecord {
    type Key = u64;
    const TABLE: Table = Table::Sent;
    const WHAT: &'static str = "a sent message";

    fn key_bytes(number: &u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn parse_key(bytes: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        write(self)
    }

    fn decode(_: &u64, bytes: &[u8]) -> Result<Self, EngineError> {
        parse(bytes, Self::WHAT)
    }
}
