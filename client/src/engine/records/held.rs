//! A received message on its way from the inbox to the timeline.

use sealpost_api::ids::MessageId;
use sealpost_crypto::DeviceAddress;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::codec::{bin, parse, write};
use crate::engine::error::EngineError;
use crate::engine::store::Row;
use crate::vault::Table;

/// A received message that has not been shown. Most are shown in the step that brings them and are never stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    #[serde(with = "bin")]
    pub(crate) from: DeviceAddress,
    #[serde(rename = "stream")]
    pub(crate) sequence: u64,
    pub(crate) counter: u64,
    #[serde(with = "bin")]
    pub(crate) previous: [u8; 32],
    #[serde(with = "bin")]
    pub(crate) hash: [u8; 32],
    #[serde(with = "bin")]
    pub(crate) message_id: MessageId,
    pub(crate) sent_at: u64,
    pub(crate) accepted_at: u64,
    pub(crate) number: u64,
    /// Absent for contents that show nothing.
    pub(crate) text: Option<Zeroizing<String>>,
    pub(crate) flags: Vec<String>,
    /// When it was taken in.
    pub(crate) held_at: u64,
    /// Its place in the order has come; only the sender's name is waited for.
    pub(crate) in_order: bool,
}

impl Held {
    /// Returns its place: device, sequence, counter.
    pub(crate) const fn place(&self) -> (DeviceAddress, u64, u64) {
        (self.from, self.sequence, self.counter)
    }
}

impl Row for Held {
    type Key = (DeviceAddress, u64, u64);
    const TABLE: Table = Table::Inbox;
    const WHAT: &'static str = "a received message";

    fn key_bytes((from, sequence, counter): &Self::Key) -> Vec<u8> {
        [from.to_bytes().as_slice(), &sequence.to_be_bytes(), &counter.to_be_bytes()].concat()
    }

    fn parse_key(bytes: &[u8]) -> Option<Self::Key> {
        let (address, rest) = bytes.split_at_checked(bytes.len().checked_sub(16)?)?;
        let (sequence, counter) = rest.split_at_checked(8)?;
        Some((
            DeviceAddress::from_bytes(address.try_into().ok()?).ok()?,
            u64::from_be_bytes(sequence.try_into().ok()?),
            u64::from_be_bytes(counter.try_into().ok()?),
        ))
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        write(self)
    }

    fn decode(_: &Self::Key, bytes: &[u8]) -> Result<Self, EngineError> {
        parse(bytes, Self::WHAT)
    }
}
