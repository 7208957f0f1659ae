//! A message that is to be written.

use mongodb::bson::oid::ObjectId;
use sealpost_api::frames::{Copy, MissedReason, Skipped};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::Outcome;
use crate::store::mongodb::documents::Row;
use crate::store::mongodb::values;
use crate::store::places::{Place, size};
use crate::store::{Accept, AcceptOutcome};

/// See the module.
pub(super) struct Plan<'a> {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) accept: &'a Accept,
    pub(super) now: UnixMillis,
    pub(super) copies: Vec<PlannedCopy>,
    /// Where an earlier attempt left a copy that this one would not queue.
    pub(super) kept: Vec<(DeviceAddress, i64)>,
    pub(super) missed: Vec<Missed>,
    pub(super) fate: Fate,
}

/// A copy that is to be queued.
pub(super) struct PlannedCopy {
    pub(super) to: DeviceAddress,
    pub(super) copy: Copy,
    pub(super) id: ObjectId,
    /// Its sequence in the queue; `None` when it was there before and is not any more.
    pub(super) row: Option<i64>,
    /// Whether this attempt wrote it.
    pub(super) mine: bool,
}

impl PlannedCopy {
    pub(super) fn bytes(&self) -> i64 {
        values::number(size(&self.copy))
    }
}

/// A device that gets no copy.
pub(super) struct Missed {
    pub(super) to: DeviceAddress,
    pub(super) told: MissedReason,
    pub(super) skipped: Skipped,
}

/// What becomes of it.
pub(super) enum Fate {
    /// The next step goes on with it.
    Open,
    /// It is to be decided anew.
    Anew,
    /// It is over.
    Over(Outcome),
}

impl<'a> Plan<'a> {
    pub(super) fn new(index: usize, accept: &'a Accept, now: UnixMillis, places: Vec<(DeviceAddress, Place)>) -> Self {
        let (mut copies, mut missed) = (Vec::with_capacity(places.len()), Vec::new());
        for (to, place) in places {
            if let Some((reason, told)) = place.told() {
                missed.push(Missed { to, told, skipped: Skipped { device: to.device, reason } });
            } else if let Place::Queued(copy) = place {
                copies.push(PlannedCopy { to, copy, id: ObjectId::new(), row: None, mine: true });
            }
        }
        Self { index, accept, now, copies, kept: Vec::new(), missed, fate: Fate::Open }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.fate, Fate::Open)
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        self.fate = Fate::Over(outcome);
    }

    /// The copy that came for a device.
    pub(super) fn given(&self, to: &DeviceAddress) -> Option<&'a Copy> {
        self.accept.send.copies.iter().find(|copy| copy.device == to.device && copy.registration == to.registration)
    }

    pub(super) fn document(&self, copy: &PlannedCopy) -> Row {
        Row {
            id: copy.id,
            account: values::account(copy.to.account),
            to: values::device(&copy.to),
            row: copy.row.unwrap_or_default(),
            from: values::address(&self.accept.from),
            number: self.accept.send.number.0.cast_signed(),
            accepted_at: values::time(self.now),
            bytes: copy.bytes(),
            ciphertext: values::binary(&copy.copy.ciphertext),
        }
    }

    /// The answer once its number is recorded.
    pub(super) fn accepted(&self) -> AcceptOutcome {
        let queued = self.copies.iter().filter_map(|copy| Some((copy.to, copy.row?)));
        let rows = queued.chain(self.kept.iter().copied()).map(|(to, row)| (to, values::message_row(row)));
        let skipped = self.missed.iter().map(|missed| missed.skipped);
        AcceptOutcome::Accepted { rows: rows.collect(), skipped: skipped.collect() }
    }
}
