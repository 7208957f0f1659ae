//! Queues: accepting, reading, deleting and expiry.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost_api::frames::{ExpiryReason, MissedReason, Skipped};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::error::StoreError;
use crate::domain::accepting::{Accept, Refusal};

/// The answer to [`QueueStore::accept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptOutcome {
    /// All copies but the skipped ones are durable, and so is the number.
    Accepted {
        /// The row of each copy.
        rows: Vec<(DeviceAddress, RowId)>,
        /// Devices without a copy. Each has a durable count of what it missed.
        skipped: Vec<Skipped>,
    },
    /// The number was accepted before; nothing was stored.
    AlreadyAccepted,
    /// Nothing was stored.
    Refused(Refusal),
    /// What the message was decided on changed while it was written. Its number is not recorded, but some copies may be
    /// durable: to the sender the outcome is unknown.
    Withdrawn(Refusal),
}

/// A row of a device's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueItem {
    /// A message.
    Message {
        /// The row.
        id: RowId,
        /// The sender device.
        from: DeviceAddress,
        /// The sender's number.
        number: MessageNumber,
        /// When it was accepted.
        accepted_at: UnixMillis,
        /// The device's copy.
        ciphertext: Bytes,
    },
    /// A notice: own messages that will not be delivered.
    Expired {
        /// The notice.
        id: RowId,
        /// The recipient device.
        to: DeviceAddress,
        /// The numbers of the messages.
        numbers: Vec<MessageNumber>,
        /// Why they will not be delivered.
        reason: ExpiryReason,
    },
    /// A notice: messages of another device that will not be delivered.
    Missed {
        /// The notice.
        id: RowId,
        /// The sender device.
        from: DeviceAddress,
        /// How many messages.
        count: u64,
        /// Why they will not be delivered.
        reason: MissedReason,
    },
}

impl QueueItem {
    /// Returns the row's id.
    #[must_use]
    pub const fn id(&self) -> RowId {
        match self {
            Self::Message { id, .. } | Self::Expired { id, .. } | Self::Missed { id, .. } => *id,
        }
    }

    /// Returns what the row counts in a delivery window, in bytes.
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

/// What one step of the expiry sweep did.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExpiredRows {
    /// Rows deleted. Their notices were durable before.
    pub deleted: u64,
    /// Devices that have a new notice to read.
    pub notified: Vec<DeviceAddress>,
}

/// Queues of ciphertexts, and the windows of their senders.
#[async_trait]
pub trait QueueStore {
    /// Accepts a message. Checks epoch, window, list, quotas and rate, in this order; then all copies and the number
    /// become durable together.
    async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError>;
    /// Returns the oldest rows that are not in `delivered`: at most `rows_max`, and at most `bytes_max` bytes except
    /// that one row always fits. A row can become visible after a later one, so "greater than the last one seen" would
    /// miss rows.
    async fn undelivered(
        &self,
        address: DeviceAddress,
        delivered: &BTreeSet<RowId>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError>;
    /// Deletes rows of this device if `epoch` is current. The caller has checked that each id was delivered on this
    /// connection. Returns how many rows still existed; `None` if the epoch is not current.
    async fn acknowledge(
        &self,
        address: DeviceAddress,
        epoch: ConnectionEpoch,
        ids: Vec<RowId>,
    ) -> Result<Option<u64>, StoreError>;
    /// Expires at most `limit` rows that were accepted before `before`: writes their notices, then deletes them. Also
    /// forgets what is no longer referred to. Repeatable.
    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError>;
}
