//! A queue whose counters and rows disagreed.

use sealpost_crypto::UnixMillis;

/// What was seen of a queue whose counters and rows disagreed when they were counted.
pub(super) struct Suspect {
    /// The sequence that was last given.
    pub(super) next: i64,
    /// Messages and bytes, by the counters.
    pub(super) counters: (i64, i64),
    /// Messages and bytes, by the rows.
    pub(super) counted: (i64, i64),
    /// When they were counted.
    pub(super) at: UnixMillis,
}

impl Suspect {
    /// Returns whether nothing was written, deleted or released in between.
    pub(super) fn is_same(&self, later: &Self) -> bool {
        (self.next, self.counters, self.counted) == (later.next, later.counters, later.counted)
    }
}
