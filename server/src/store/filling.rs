//! Filling the answer to a read of a queue.

use super::queue::QueueItem;

/// The rows of an answer so far: at most `rows_max`, and at most `bytes_max` bytes except that one row always fits.
pub(super) struct Filling {
    items: Vec<QueueItem>,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
    is_full: bool,
}

impl Filling {
    /// An empty answer with these limits.
    pub(super) const fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { items: Vec::new(), bytes: 0, rows_max, bytes_max, is_full: rows_max == 0 }
    }

    /// Returns whether no further row fits.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds the next row if it fits. Returns whether another one may.
    pub(super) fn add(&mut self, item: QueueItem) -> bool {
        self.bytes = self.bytes.saturating_add(item.bytes());
        self.is_full = self.is_full || (self.bytes > self.bytes_max && !self.items.is_empty());
        if !self.is_full {
            self.items.push(item);
            self.is_full = self.items.len() >= self.rows_max;
        }
        !self.is_full
    }

    /// Returns the rows.
    pub(super) fn items(self) -> Vec<QueueItem> {
        self.items
    }
}
