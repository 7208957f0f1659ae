//! A message that is being written.

use mongodb::bson::oid::ObjectId;
use sealpost_api::frames::{Copy, MissedReason, Skipped};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::outcome::Outcome;
use crate::domain::accepting::{Accept, Place, size};
use crate::store::mongodb::documents::queue::Row;
use crate::store::mongodb::values;
use crate::store::queue::AcceptOutcome;

/// A message that is being written.
pub(super) struct Plan<'a> {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) accept: &'a Accept,
    pub(super) now: UnixMillis,
    pub(super) copies: Vec<PlannedCopy>,
    /// Copies that an earlier attempt left and this one would not queue, with their sequences.
    pub(super) kept: Vec<(DeviceAddress, i64)>,
    /// Devices that get no copy.
    pub(super) missed: Vec<Missed>,
    pub(super) fate: Fate,
}

/// A copy that is being queued.
pub(super) struct PlannedCopy {
    pub(super) to: DeviceAddress,
    pub(super) copy: Copy,
    pub(super) id: ObjectId,
    pub(super) seat: Seat,
}

/// Where a copy is in its queue.
#[derive(Clone, Copy)]
pub(super) enum Seat {
    /// No room is reserved yet.
    Unreserved,
    /// This attempt reserved this sequence, and writes the copy.
    Reserved(i64),
    /// An earlier attempt wrote the copy, with this sequence.
    Earlier(i64),
    /// The copy was written before, but is not there (any more): delivered and acked, or in the way of another row.
    Gone,
}

impl PlannedCopy {
    /// Returns the bytes of the copy.
    pub(super) fn bytes(&self) -> i64 {
        values::number(size(&self.copy))
    }

    /// Returns the sequence of the copy; `None` if it is not in the queue.
    pub(super) const fn row(&self) -> Option<i64> {
        match self.seat {
            Seat::Reserved(row) | Seat::Earlier(row) => Some(row),
            Seat::Unreserved | Seat::Gone => None,
        }
    }
}

/// A device that gets no copy.
pub(super) struct Missed {
    pub(super) to: DeviceAddress,
    pub(super) told: MissedReason,
    pub(super) skipped: Skipped,
}

/// What becomes of a message.
pub(super) enum Fate {
    /// The next step goes on with it.
    Open,
    /// It has to be decided again.
    Anew,
    /// It is answered.
    Over(Outcome),
}

impl<'a> Plan<'a> {
    /// A plan to write a message with these places.
    pub(super) fn new(index: usize, accept: &'a Accept, now: UnixMillis, places: Vec<(DeviceAddress, Place)>) -> Self {
        let (mut copies, mut missed) = (Vec::with_capacity(places.len()), Vec::new());
        for (to, place) in places {
            if let Some((reason, told)) = place.told() {
                missed.push(Missed { to, told, skipped: Skipped { device: to.device, reason } });
            } else if let Place::Queued(copy) = place {
                copies.push(PlannedCopy { to, copy, id: ObjectId::new(), seat: Seat::Unreserved });
            }
        }
        Self { index, accept, now, copies, kept: Vec::new(), missed, fate: Fate::Open }
    }

    /// Returns whether the next step continues with it.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.fate, Fate::Open)
    }

    /// Answers the message.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.fate = Fate::Over(outcome);
    }

    /// Returns the copy that came for a device.
    pub(super) fn given(&self, to: &DeviceAddress) -> Option<&'a Copy> {
        self.accept.send.copies.iter().find(|copy| copy.device == to.device && copy.registration == to.registration)
    }

    /// Returns the row of a copy.
    pub(super) fn document(&self, copy: &PlannedCopy) -> Row {
        Row {
            id: copy.id,
            account: values::account(copy.to.account),
            to: values::device(&copy.to),
            row: copy.row().unwrap_or_default(),
            from: values::address(&self.accept.from),
            number: self.accept.send.number.0.cast_signed(),
            accepted_at: values::time(self.now),
            bytes: copy.bytes(),
            ciphertext: values::binary(&copy.copy.ciphertext),
        }
    }

    /// Returns the answer once the number is recorded.
    pub(super) fn accepted(&self) -> AcceptOutcome {
        let queued = self.copies.iter().filter_map(|copy| Some((copy.to, copy.row()?)));
        let rows = queued.chain(self.kept.iter().copied()).map(|(to, row)| (to, values::message_row(row)));
        let skipped = self.missed.iter().map(|missed| missed.skipped);
        AcceptOutcome::Accepted { rows: rows.collect(), skipped: skipped.collect() }
    }
}
