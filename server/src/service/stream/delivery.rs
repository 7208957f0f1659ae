//! The rows that one connection has been given and has acknowledged: the delivery window as a value, without I/O.
//!
//! ```text
//!            a read came back empty, nothing newer arrived meanwhile
//!  Behind ───────────────────────────────────────────────────────────▶ Live
//!  rows come from the store only   ◀──────────────────────────────────  rows come as they are accepted
//!            the window is full, or the mailbox could not keep a row
//! ```
//!
//! A row is in at most one of three sets: *unacked* (delivered), *acking* (acknowledged, deletion not durable yet) and
//! *settled* (deleted recently). Rows of these sets are not delivered again on this connection, whatever a read of the
//! store or a live offer brings, because a read can have begun before the deletion, and an offer can come after it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use sealpost_api::ids::RowId;
use sealpost_api::limits::{ACK_MAX_IDS, DELIVERY_WINDOW_BYTES, DELIVERY_WINDOW_ROWS};
use sealpost_sabotage::{Countermeasure, holds};

use crate::store::QueueItem;

/// The most bytes of one read of the store, so that a peer that does not read costs this much memory instead of a whole
/// window.
const READ_MAX_BYTES: usize = 128 * 1024;
/// The most acknowledged rows whose deletion is not durable. Beyond that nothing more is delivered, because the store
/// is behind.
const ACKING_MAX: usize = 4096;
/// The number of deleted rows that are remembered. A live offer follows its commit within one turn of the sender's
/// task; this is many turns.
const SETTLED_MAX: usize = 512;

/// An id was acknowledged that is not unacked on this connection. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row was acknowledged that was not delivered on this connection, or was acknowledged before")]
pub struct AckUnknown;

/// A request to read the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The rows to leave out.
    pub delivered: BTreeSet<RowId>,
    /// The most rows.
    pub rows_max: usize,
    /// The most bytes; a single row can exceed it.
    pub bytes_max: usize,
}

/// What to send to the peer, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Rows, oldest first.
    pub rows: Vec<QueueItem>,
    /// `Drained` after them.
    pub drained: bool,
}

/// The delivery window of one connection.
#[derive(Debug)]
pub struct Delivery {
    unacked: BTreeMap<RowId, usize>,
    unacked_bytes: usize,
    /// Acks that the store has not been given yet.
    acks: Vec<RowId>,
    acking: BTreeSet<RowId>,
    settled: HashSet<RowId>,
    settled_order: VecDeque<RowId>,
    behind: bool,
    reading: bool,
    /// Set if something arrived during a read that the read may have missed and that is not in `held`.
    read_again: bool,
    /// Rows offered during a read.
    held: VecDeque<QueueItem>,
    drained: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            unacked: BTreeMap::new(),
            unacked_bytes: 0,
            acks: Vec::new(),
            acking: BTreeSet::new(),
            settled: HashSet::new(),
            settled_order: VecDeque::new(),
            behind: true,
            reading: false,
            read_again: false,
            held: VecDeque::new(),
            drained: false,
        }
    }
}

impl Delivery {
    fn has_room(&self) -> bool {
        self.unacked.len() < DELIVERY_WINDOW_ROWS && self.unacked_bytes < DELIVERY_WINDOW_BYTES
    }

    /// Returns whether the row can be delivered, and marks it as delivered then.
    fn admit(&mut self, item: &QueueItem) -> bool {
        let id = item.id();
        if self.unacked.contains_key(&id) || self.acking.contains(&id) || self.settled.contains(&id) {
            return false;
        }
        self.unacked.insert(id, item.bytes());
        self.unacked_bytes = self.unacked_bytes.saturating_add(item.bytes());
        true
    }

    /// Returns the next read, if one is due and there is room. The caller passes its outcome to
    /// [`read_done`](Self::read_done) or [`read_failed`](Self::read_failed).
    pub fn begin_read(&mut self) -> Option<ReadRequest> {
        if !self.behind || self.reading || !self.has_room() || self.acking.len() >= ACKING_MAX {
            return None;
        }
        self.reading = true;
        self.read_again = false;
        self.held.clear();
        Some(ReadRequest {
            delivered: self.unacked.keys().chain(&self.acking).copied().collect(),
            rows_max: DELIVERY_WINDOW_ROWS.saturating_sub(self.unacked.len()),
            bytes_max: DELIVERY_WINDOW_BYTES.saturating_sub(self.unacked_bytes).min(READ_MAX_BYTES),
        })
    }

    /// Takes the result of a read. Only an empty read proves that there is no more, because the byte limit can have cut
    /// any other.
    pub fn read_done(&mut self, rows: Vec<QueueItem>) -> Deliveries {
        self.reading = false;
        let mut deliveries = Deliveries::default();
        let proves_empty = rows.is_empty() && !self.read_again;
        deliveries.rows.extend(rows.into_iter().filter(|item| self.admit(item)));
        if proves_empty {
            self.behind = false;
            for item in std::mem::take(&mut self.held) {
                self.deliver_live(item, &mut deliveries);
            }
            if !self.behind && !self.drained {
                self.drained = true;
                deliveries.drained = true;
            }
        } else {
            self.held.clear();
        }
        deliveries
    }

    /// Records that a read failed. The caller decides when to try again.
    pub fn read_failed(&mut self) {
        self.reading = false;
        self.held.clear();
    }

    /// Takes rows that became durable. `more` says that the store can have others.
    pub fn offer(&mut self, rows: VecDeque<QueueItem>, more: bool) -> Deliveries {
        let mut deliveries = Deliveries::default();
        for item in rows {
            if self.reading {
                if self.held.len() < DELIVERY_WINDOW_ROWS {
                    self.held.push_back(item);
                } else {
                    self.read_again = true;
                }
            } else if !self.behind {
                self.deliver_live(item, &mut deliveries);
            }
        }
        if more {
            self.behind = true;
            self.read_again |= self.reading;
        }
        deliveries
    }

    fn deliver_live(&mut self, item: QueueItem, deliveries: &mut Deliveries) {
        if self.behind || !self.has_room() {
            self.behind = true;
        } else if self.admit(&item) {
            deliveries.rows.push(item);
        }
    }

    /// Records an ack, completely or not at all.
    ///
    /// # Errors
    /// [`AckUnknown`] if an id is not unacked here, or comes twice.
    pub fn ack(&mut self, ids: &[RowId]) -> Result<(), AckUnknown> {
        let distinct: BTreeSet<_> = ids.iter().collect();
        let delivered = |id| {
            let here = self.unacked.contains_key(id);
            holds(Countermeasure::AckOwnership, here) || holds(Countermeasure::AckDelivered, here)
        };
        if distinct.len() != ids.len() || !ids.iter().all(delivered) {
            return Err(AckUnknown);
        }
        for id in ids {
            let bytes = self.unacked.remove(id).unwrap_or_default();
            self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes);
            self.acking.insert(*id);
            self.acks.push(*id);
        }
        Ok(())
    }

    /// Returns the number of acks that the store has not been given yet.
    #[must_use]
    pub fn acks_waiting(&self) -> usize {
        self.acks.len()
    }

    /// Takes the next batch for the store.
    pub fn take_acks(&mut self) -> Vec<RowId> {
        let rest = self.acks.split_off(self.acks.len().min(ACK_MAX_IDS));
        std::mem::replace(&mut self.acks, rest)
    }

    /// Records that the deletion of a batch is durable.
    pub fn acks_done(&mut self, ids: &[RowId]) {
        for id in ids {
            if self.acking.remove(id) && self.settled.insert(*id) {
                self.settled_order.push_back(*id);
            }
        }
        while self.settled_order.len() > SETTLED_MAX {
            if let Some(oldest) = self.settled_order.pop_front() {
                self.settled.remove(&oldest);
            }
        }
    }

    /// Records that a batch was not deleted, so that the store gets it again.
    pub fn acks_failed(&mut self, mut ids: Vec<RowId>) {
        ids.append(&mut self.acks);
        self.acks = ids;
    }
}

#[cfg(test)]
mod tests;
