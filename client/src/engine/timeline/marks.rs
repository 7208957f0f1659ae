//! Marks in the notices.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::stored::StoredLimit;
use crate::engine::store::Record;
use crate::vault::Table;

/// Notices about one contact, or the own device, that nobody has seen and that a server can cause at will. Further ones
/// are only counted.
const CONTACT_NOTICES_MAX: u64 = 64;
/// Names that notices are counted for. Beyond it they count as notices about strangers.
const COUNTED_NAMES_MAX: usize = 1_024;

/// Marks in the notices.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marks {
    /// Notices below this position were printed.
    pub(crate) unprinted_from: u64,
    /// Where notices about strangers lie that were not printed, oldest first.
    #[serde(default)]
    pub(crate) stranger_notices: VecDeque<u64>,
    /// How many notices about a name were noted since something was printed.
    #[serde(default)]
    pub(crate) told: Vec<Told>,
    /// Notices that count what was dropped, while they are not printed.
    #[serde(default)]
    pub(crate) counted: Vec<Counted>,
}

/// Notices about one name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    pub(crate) label: String,
    pub(crate) count: u64,
}

/// A notice that counts what was dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counted {
    pub(crate) about: StoredLimit,
    pub(crate) position: u64,
    pub(crate) count: u64,
}

impl Marks {
    /// Counts a notice about a name. Returns whether it is one too many.
    pub(crate) fn is_one_too_many(&mut self, label: &str) -> bool {
        if let Some(told) = self.told.iter_mut().find(|told| told.label == label) {
            told.count = told.count.saturating_add(1);
            return told.count > CONTACT_NOTICES_MAX;
        }
        self.told.push(Told { label: label.to_owned(), count: 1 });
        false
    }

    /// Returns whether notices about this name are counted.
    pub(crate) fn counts_names(&self, label: &str) -> bool {
        self.told.len() < COUNTED_NAMES_MAX || self.told.iter().any(|told| told.label == label)
    }

    /// Forgets what was printed, up to this position.
    pub(crate) fn printed(&mut self, position: u64) {
        self.unprinted_from = position.saturating_add(1);
        self.stranger_notices.retain(|found| *found > position);
        self.counted.retain(|counted| counted.position > position);
        self.told.clear();
    }
}

impl Record for Marks {
    const TABLE: Table = Table::Meta;
    const KEY: &'static [u8] = b"marks";
    const WHAT: &'static str = "the marks";
}
