//! Which device list may follow which.

use sealpost_crypto::DeviceList;

/// The current device list of an account, as far as its successor depends on it.
#[derive(Clone, Copy, Debug)]
pub struct CurrentList {
    /// Its version.
    pub version: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// How a list relates to the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// It is the current list.
    IsCurrent,
    /// It follows the current list.
    Follows,
    /// It follows another list.
    Conflicts,
}

impl CurrentList {
    /// Compares a list with the current one.
    #[must_use]
    pub fn succession(&self, list: &DeviceList) -> Succession {
        if self.hash == list.hash() {
            Succession::IsCurrent
        } else if self.hash == list.previous_hash() && self.version.checked_add(1) == Some(list.version()) {
            Succession::Follows
        } else {
            Succession::Conflicts
        }
    }
}
