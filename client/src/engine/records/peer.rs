//! What is remembered of a remote device. One row a device, of which each part has its own fields.

use sealpost_crypto::DeviceAddress;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::codec::{Bin, Bin32, parse, write};
use crate::engine::error::EngineError;
use crate::engine::store::Row;
use crate::vault::Table;

/// One sequence of a remote device, as received.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InSequence {
    #[serde(rename = "stream")]
    pub(crate) sequence: u64,
    /// The counter that is to come next.
    pub(crate) next: u64,
    /// The hash of the envelope before it, if that came.
    pub(crate) last: Option<Bin<[u8; 32]>>,
    /// Ranges that were given up waiting for.
    pub(crate) gaps: Vec<Gap>,
}

/// Counters that did not come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The position of the notice that says so.
    pub(crate) notice: u64,
}

/// What is remembered of a remote device.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// The outbox: the sequence that the two fields below count in.
    #[serde(rename = "out_stream")]
    pub(crate) out_sequence: u64,
    /// The outbox: the last counter given to a message for this device.
    pub(crate) out_counter: u64,
    /// The outbox: the hash of that envelope.
    pub(crate) out_hash: Bin32,
    /// The inbox: the device's sequences as received, the newest last.
    #[serde(rename = "streams")]
    pub(crate) sequences: Vec<InSequence>,
    /// The inbox: how many deliveries were remembered, which is the cursor of the ring in `Table::Seen`.
    pub(crate) seen: u64,
    /// Whether anything of it was ever decrypted, so that it needs no name any more.
    pub(crate) heard: bool,
    /// When it was first heard of.
    #[serde(default)]
    pub(crate) since: u64,
    /// The sessions: what is asked for again.
    pub(crate) repair: Repair,
}

/// What could not be decrypted and is asked for again.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repair {
    /// What to ask for: number and hash of the ciphertext.
    pub(crate) failed: Vec<(u64, Bin32)>,
    /// When it was asked, newest last; five are kept.
    pub(crate) asked_at: Vec<u64>,
    /// Asked, and nothing decrypted since.
    pub(crate) awaiting: bool,
}

impl Row for Peer {
    type Key = DeviceAddress;
    const TABLE: Table = Table::Peer;
    const WHAT: &'static str = "a device";

    fn key_bytes(key: &DeviceAddress) -> Vec<u8> {
        key.to_bytes().to_vec()
    }

    fn parse_key(bytes: &[u8]) -> Option<DeviceAddress> {
        DeviceAddress::from_bytes(bytes.try_into().ok()?).ok()
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        write(self)
    }

    fn decode(_: &Self::Key, bytes: &[u8]) -> Result<Self, EngineError> {
        parse(bytes, Self::WHAT)
    }
}
