//! The queue's contract: connections, accepting, reading, deleting and expiry.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost_api::frames::{ExpiryReason, MissedReason, Send as SendFrame, Skipped};
use sealpost_api::ids::{ConnectionEpoch, KeyEpoch, MessageNumber, RowId, SessionId};
use sealpost_crypto::{DeviceAddress, DeviceId, UnixMillis};

use super::StoreError;

/// The answer to [`QueueStore::open_connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenConnection {
    /// The epoch is durable; every earlier one is void.
    Opened {
        /// The new epoch.
        epoch: ConnectionEpoch,
        /// The device's key epoch.
        key_epoch: KeyEpoch,
        /// Rows waiting, notices included.
        pending: u64,
        /// Highest number accepted; 0 when none was.
        highest_number: MessageNumber,
        /// One-time prekeys left.
        one_time_left: u32,
    },
    /// The session has ended, is of another generation or of another device, or the device is in no list.
    Refused,
}

/// The quotas that [`QueueStore::accept`] enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages in one device's queue.
    pub messages_max: u64,
    /// Bytes in one device's queue.
    pub bytes_max: u64,
    /// Messages that one sender account may have in one device's queue.
    pub sender_messages_max: u64,
    /// A device that was away this long, in ms, is dormant.
    pub dormant_after_millis: u64,
}

/// The last so many parts of a queue are for accounts that have little in it.
const KEPT_PARTS: u64 = 4;
/// There an account may have one part in so many of what is still free, so that whoever comes next finds the rest. With the
/// default quotas it takes 199 accounts to use up a queue, each taking all it can get, and 101 with the largest ciphertexts.
const FREE_PARTS: u64 = 32;

impl QueueLimits {
    /// Whether an account that has `own` of the `stored` in a queue of at most `most` may add `more` to it. What was
    /// accepted is never thrown out again, so that room for others has to be kept before it is gone. An account that has
    /// nothing there yet gets a first message in for as long as there is room.
    #[must_use]
    pub const fn is_fair(most: u64, stored: u64, own: u64, more: u64) -> bool {
        let free = most.saturating_sub(stored);
        let kept = most.saturating_div(KEPT_PARTS);
        own == 0 || free.saturating_sub(more) >= kept || own.saturating_add(more) <= free.saturating_div(FREE_PARTS)
    }
}

/// A message to accept.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The authenticated sender device.
    pub from: DeviceAddress,
    /// Its connection.
    pub epoch: ConnectionEpoch,
    /// What it sent; sizes and counts already checked.
    pub send: SendFrame,
    /// Whether the rate limit would allow a new message now; if not, ms until it does. Looked at after the window.
    pub rate: Result<(), u64>,
    /// Quotas.
    pub limits: QueueLimits,
}

/// Why a message was not accepted. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection's epoch is not the current one.
    Superseded,
    /// The number was used for other bytes.
    NumberConflict,
    /// The number lies below the window.
    NumberTooOld,
    /// There is no such account, or the sender is in no list any more.
    RecipientUnknown,
    /// The copies do not match the current list. A copy for a dormant device is optional.
    DevicesMismatch {
        /// Devices without a copy.
        missing: Vec<DeviceId>,
        /// Copies for devices that are not in the list.
        extra: Vec<DeviceId>,
        /// Copies for another registration of a device.
        stale: Vec<DeviceId>,
    },
    /// The rate limit; ms until a retry is of use.
    RateLimited(u64),
    /// Every addressed device's queue is full (or some, and the others dormant).
    QueueFull,
    /// The sender account's share of every queue that is not full or dormant is used up.
    QueueShare,
    /// Every addressed device is dormant.
    Dormant,
}

/// The answer to [`QueueStore::accept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptOutcome {
    /// All copies but the skipped ones are durable, and so is the number.
    Accepted {
        /// Where each copy was queued.
        rows: Vec<(DeviceAddress, RowId)>,
        /// Devices without a copy; each has a durable count of what it missed.
        skipped: Vec<Skipped>,
    },
    /// The number was accepted before; nothing was stored.
    AlreadyAccepted,
    /// Nothing was stored.
    Refused(Refusal),
    /// What the message was decided on has changed while it was written. Its number is not recorded, but some of its copies
    /// may be durable: to the sender the outcome is unknown.
    Withdrawn(Refusal),
}

/// A row of a device's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueItem {
    /// A message.
    Message {
        /// The row.
        id: RowId,
        /// Who sent it.
        from: DeviceAddress,
        /// The sender's number.
        number: MessageNumber,
        /// When it was accepted.
        accepted_at: UnixMillis,
        /// The device's copy.
        ciphertext: Bytes,
    },
    /// Own messages that will not be delivered.
    Expired {
        /// The notice.
        id: RowId,
        /// The recipient device.
        to: DeviceAddress,
        /// The numbers.
        numbers: Vec<MessageNumber>,
        /// Why.
        reason: ExpiryReason,
    },
    /// Others' messages that will not be delivered.
    Missed {
        /// The notice.
        id: RowId,
        /// The sender device.
        from: DeviceAddress,
        /// How many.
        count: u64,
        /// Why.
        reason: MissedReason,
    },
}

impl QueueItem {
    /// The row's id.
    #[must_use]
    pub const fn id(&self) -> RowId {
        match self {
            Self::Message { id, .. } | Self::Expired { id, .. } | Self::Missed { id, .. } => *id,
        }
    }

    /// What it counts in a delivery window, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// A row's address, numbers and framing.
        const OVERHEAD: usize = 128;
        match self {
            Self::Message { ciphertext, .. } => ciphertext.len().saturating_add(OVERHEAD),
            Self::Expired { numbers, .. } => numbers.len().saturating_mul(8).saturating_add(OVERHEAD),
            Self::Missed { .. } => OVERHEAD,
        }
    }
}

/// What a read of a queue has so far: at most so many rows, and at most so many bytes but for one row, which always fits.
pub(super) struct Filling {
    items: Vec<QueueItem>,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
    is_full: bool,
}

impl Filling {
    pub(super) const fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { items: Vec::new(), bytes: 0, rows_max, bytes_max, is_full: rows_max == 0 }
    }

    /// Whether nothing more goes in.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes the next row, if it fits; whether another may.
    pub(super) fn add(&mut self, item: QueueItem) -> bool {
        self.bytes = self.bytes.saturating_add(item.bytes());
        self.is_full = self.is_full || (self.bytes > self.bytes_max && !self.items.is_empty());
        if !self.is_full {
            self.items.push(item);
            self.is_full = self.items.len() >= self.rows_max;
        }
        !self.is_full
    }

    pub(super) fn items(self) -> Vec<QueueItem> {
        self.items
    }
}

/// One step of the expiry sweep.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExpiredRows {
    /// Rows deleted; their notices were durable before.
    pub deleted: u64,
    /// Devices that have a new notice to read.
    pub notified: Vec<DeviceAddress>,
}

/// Queues of ciphertexts, the senders' windows and the connections' epochs.
#[async_trait]
pub trait QueueStore {
    /// Begins a connection: the epoch rises and the device is seen, if the session is live.
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError>;
    /// Notes that the device was here until now. Called while connected and at the end.
    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError>;
    /// Accepts a message. In this order: epoch, window, list, quota, rate; then all copies and the number at once.
    async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError>;
    /// The oldest rows that are not in `delivered`, at most `rows_max`, stopping before `bytes_max` is exceeded
    /// (but for one row, which always fits). Never "greater than the last seen": an older row may become visible late.
    async fn undelivered(
        &self,
        address: DeviceAddress,
        delivered: &BTreeSet<RowId>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError>;
    /// Deletes rows of this device if `epoch` is current; `None` when it is not. The caller has checked that each id
    /// was delivered on this connection. How many rows there still were.
    async fn acknowledge(
        &self,
        address: DeviceAddress,
        epoch: ConnectionEpoch,
        ids: Vec<RowId>,
    ) -> Result<Option<u64>, StoreError>;
    /// Expires at most `limit` rows accepted before `before`: writes the notices, then deletes. Repeatable.
    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError>;
}

#[cfg(test)]
mod tests {
    use sealpost_api::limits::CIPHERTEXT_MAX_BYTES;

    use super::*;
    use crate::base::config::QueueConfig;

    /// How many accounts, one after the other, get anything in when each adds messages of this size until it is refused.
    fn accounts_that_get_in(most: u64, size: u64) -> u32 {
        let (mut stored, mut accounts, share) = (0, 0, QueueConfig::default().sender_messages_max);
        loop {
            let (mut own, mut messages) = (0, 0);
            while stored + size <= most && messages < share && QueueLimits::is_fair(most, stored, own, size) {
                (own, stored, messages) = (own + size, stored + size, messages + 1);
            }
            if messages == 0 {
                return accounts;
            }
            accounts += 1;
        }
    }

    #[test]
    fn it_takes_a_hundred_accounts_to_use_up_a_queue() {
        let quotas = QueueConfig::default();
        assert_eq!(accounts_that_get_in(quotas.messages_max, 1), 199);
        assert_eq!(accounts_that_get_in(quotas.bytes_max, CIPHERTEXT_MAX_BYTES as u64), 101);
    }

    #[test]
    fn one_account_alone_is_held_back_in_the_last_quarter_only() {
        assert!(QueueLimits::is_fair(1_000, 749, 749, 1));
        assert!(!QueueLimits::is_fair(1_000, 750, 750, 1));
        assert!(QueueLimits::is_fair(1_000, 750, 0, 1), "and nobody who has nothing there");
        assert!(QueueLimits::is_fair(1_000, 750, 6, 1) && !QueueLimits::is_fair(1_000, 750, 7, 1));
    }
}
