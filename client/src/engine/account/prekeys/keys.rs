//! What this device remembers of its own prekeys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine::store::Record;
use crate::vault::Table;

/// Work on the prekeys that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyWork {
    /// After a roll-back: the one-time prekeys are to be discarded on the server, then new keys uploaded.
    Discard,
    /// All keys are to be made anew: after a roll-back, or in another key epoch.
    Renew,
    /// The signed prekey is to be made anew.
    Rotate,
    /// The one-time prekeys are to be counted and topped up.
    TopUp,
}

/// What this device remembers of its own prekeys; the pairs are in `Table::Prekey`.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(from = "StoredKeys", into = "StoredKeys")]
pub(crate) struct Keys {
    /// The highest one-time prekey id ever drawn.
    pub(super) one_time_id: u32,
    /// The highest signed prekey id ever drawn.
    pub(super) signed_id: u32,
    /// When the newest signed prekey was made.
    pub(super) signed_made_at: u64,
    /// The key epoch, once welcomed.
    pub(super) epoch: Option<u32>,
    /// When the server was last asked what it holds.
    pub(super) checked_at: u64,
    wanted: BTreeSet<KeyWork>,
}

impl Keys {
    /// Returns the keys of a new device: ids up to these.
    pub(super) const fn first(one_time_id: u32, signed_id: u32, now: u64) -> Self {
        Self { one_time_id, signed_id, signed_made_at: now, epoch: None, checked_at: now, wanted: BTreeSet::new() }
    }

    /// Returns whether some work is to be done.
    pub(super) fn wants(&self, work: KeyWork) -> bool {
        self.wanted.contains(&work)
    }

    /// Returns whether keys are to be made and uploaded.
    pub(super) fn wants_upload(&self) -> bool {
        [KeyWork::Renew, KeyWork::Rotate, KeyWork::TopUp].iter().any(|work| self.wants(*work))
    }

    /// Has some work done.
    pub(super) fn want(&mut self, work: KeyWork) {
        self.wanted.insert(work);
    }

    /// Notes that some work is done.
    pub(super) fn done(&mut self, work: KeyWork) {
        self.wanted.remove(&work);
    }
}

impl Record for Keys {
    const TABLE: Table = Table::Meta;
    const KEY: &'static [u8] = b"keys";
    const WHAT: &'static str = "the prekeys";
}

/// The same, as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKeys {
    one_time_id: u32,
    signed_id: u32,
    signed_made_at: u64,
    epoch: Option<u32>,
    checked_at: u64,
    discard: bool,
    renew: bool,
    rotate: bool,
    top_up: bool,
}

impl From<Keys> for StoredKeys {
    fn from(keys: Keys) -> Self {
        Self {
            one_time_id: keys.one_time_id,
            signed_id: keys.signed_id,
            signed_made_at: keys.signed_made_at,
            epoch: keys.epoch,
            checked_at: keys.checked_at,
            discard: keys.wants(KeyWork::Discard),
            renew: keys.wants(KeyWork::Renew),
            rotate: keys.wants(KeyWork::Rotate),
            top_up: keys.wants(KeyWork::TopUp),
        }
    }
}

impl From<StoredKeys> for Keys {
    fn from(stored: StoredKeys) -> Self {
        let wanted = [
            (KeyWork::Discard, stored.discard),
            (KeyWork::Renew, stored.renew),
            (KeyWork::Rotate, stored.rotate),
            (KeyWork::TopUp, stored.top_up),
        ];
        Self {
            one_time_id: stored.one_time_id,
            signed_id: stored.signed_id,
            signed_made_at: stored.signed_made_at,
            epoch: stored.epoch,
            checked_at: stored.checked_at,
            wanted: wanted.into_iter().filter_map(|(work, is_wanted)| is_wanted.then_some(work)).collect(),
        }
    }
}
