//! What this device remembers of its own sending.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::ids::StoreId;
use serde::{Deserialize, Serialize};

use crate::engine::codec::Bin;
use crate::engine::store::Record;
use crate::vault::Table;

/// What this device remembers of its own sending.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sender {
    /// The highest number ever given to a frame.
    pub(crate) number: u64,
    /// The highest number that the server answered with `Sent`.
    pub(crate) highest_sent: u64,
    /// The sequence of the counters inside the encryption.
    #[serde(rename = "stream")]
    pub(crate) sequence: u64,
    /// The server's store, once welcomed.
    pub(crate) store: Option<Bin<StoreId>>,
    /// From here on sent records are kept; older ones are dropped.
    pub(crate) oldest_record: u64,
    /// Numbers left out, by the first of them; the next one used. So records from before are found and dropped in time.
    #[serde(default)]
    pub(crate) jumps: BTreeMap<u64, u64>,
    /// This vault is known to be rolled back, and the server has not said yet which numbers were used meanwhile.
    #[serde(default)]
    pub(crate) rolled_back: bool,
    /// From here on sealed frames are kept.
    pub(crate) oldest_sealed: u64,
    /// Accepted numbers whose frames were still wanted after a restore and are gone.
    pub(crate) lost: Vec<u64>,
    /// Accepted numbers that are sent again after a restore and not answered yet.
    pub(crate) resend: BTreeSet<u64>,
}

impl Record for Sender {
    const TABLE: Table = Table::Meta;
    const KEY: &'static [u8] = b"sender";
    const WHAT: &'static str = "the sender";
}
