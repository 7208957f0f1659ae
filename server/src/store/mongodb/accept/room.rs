//! Room and sequences in the queues: reserved before a row is written, released if none is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mongodb::bson::doc;
use mongodb::options::ReturnDocument;
use sealpost_crypto::DeviceAddress;

use super::plan::{Fate, Plan, Seat};
use crate::store::error::StoreError;
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::bulk::Update;
use crate::store::mongodb::collections::devices::less;
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::devices::of_device;
use crate::store::mongodb::error::{DbError, in_part};
use crate::store::mongodb::values;

/// What a batch adds to one queue.
struct Room {
    rows: i64,
    bytes: i64,
    rows_max: i64,
    bytes_max: i64,
    at: i64,
}

/// Reserves room and sequences in every queue, one step per queue, as far as its quota allows. Messages for a queue
/// that other messages filled meanwhile are decided again, with everything that the same device sent after them, and
/// what they reserved elsewhere is released. Returns the queues whose counters are in doubt afterwards.
pub(super) async fn reserve(db: &Db, plans: &mut [Plan<'_>]) -> BTreeSet<DeviceAddress> {
    let mut taking = Vec::new();
    for (to, room) in wanted(plans) {
        taking.push(async move { (to, take(db, &to, &room).await) });
    }
    let taken = at_once(taking).await;
    let mut next: HashMap<DeviceAddress, i64> = HashMap::new();
    let (mut failed, mut doubtful) = (BTreeMap::new(), BTreeSet::new());
    for (to, first) in taken {
        match first {
            Ok(Some(first)) => drop(next.insert(to, first)),
            // Full.
            Ok(None) => {}
            Err(error) => {
                doubtful.insert(to);
                failed.insert(to, in_part(error));
            }
        }
    }
    let mut back = Released::default();
    // Once a message of a sender is not written now, its later messages wait for that one.
    let mut held: BTreeMap<DeviceAddress, Option<StoreError>> = BTreeMap::new();
    for plan in plans.iter_mut().filter(|plan| plan.is_open()) {
        let error = plan.copies.iter().find_map(|copy| failed.get(&copy.to)).cloned();
        let full = plan.copies.iter().any(|copy| !next.contains_key(&copy.to));
        if full {
            held.entry(plan.accept.from).or_insert(error);
        }
        let Some(why) = held.get(&plan.accept.from) else {
            for copy in &mut plan.copies {
                if let Some(row) = next.get_mut(&copy.to) {
                    copy.seat = Seat::Reserved(std::mem::replace(row, row.saturating_add(1)));
                }
            }
            continue;
        };
        for copy in plan.copies.iter().filter(|copy| next.contains_key(&copy.to)) {
            back.add(copy.to, copy.bytes());
        }
        plan.fate = why.clone().map_or(Fate::Anew, |error| Fate::Over(Err(error)));
    }
    doubtful.append(&mut back.give(db).await);
    doubtful
}

/// Returns the room that the open plans need.
fn wanted(plans: &[Plan<'_>]) -> BTreeMap<DeviceAddress, Room> {
    let mut rooms: BTreeMap<DeviceAddress, Room> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.is_open()) {
        let limits = &plan.accept.limits;
        let (rows_max, bytes_max) = (values::number(limits.messages_max), values::number(limits.bytes_max));
        for copy in &plan.copies {
            let room = rooms.entry(copy.to).or_insert(Room { rows: 0, bytes: 0, rows_max, bytes_max, at: 0 });
            room.rows = room.rows.saturating_add(1);
            room.bytes = room.bytes.saturating_add(copy.bytes());
            room.rows_max = room.rows_max.min(rows_max);
            room.bytes_max = room.bytes_max.min(bytes_max);
            room.at = room.at.max(values::time(plan.now));
        }
    }
    rooms
}

/// Returns the first of the reserved sequences; `None` if there is not enough room.
async fn take(db: &Db, to: &DeviceAddress, room: &Room) -> Result<Option<i64>, DbError> {
    let mut free = of_device(to);
    free.extend(doc! {
        "messages": { "$lte": room.rows_max.saturating_sub(room.rows) },
        "bytes": { "$lte": room.bytes_max.saturating_sub(room.bytes) },
    });
    let more = doc! {
        "$inc": { "next": room.rows, "messages": room.rows, "bytes": room.bytes },
        "$max": { "reserved_at": room.at },
    };
    let hot = db.devices.find_one_and_update(free, more).return_document(ReturnDocument::After).await?;
    Ok(hot.map(|hot| hot.next.saturating_sub(room.rows).saturating_add(1)))
}

/// Room that turned out not to be needed, by queue.
#[derive(Default)]
pub(super) struct Released(BTreeMap<DeviceAddress, (i64, i64)>);

impl Released {
    /// Adds the room of one row.
    pub(super) fn add(&mut self, to: DeviceAddress, bytes: i64) {
        let (rows, sum) = self.0.entry(to).or_default();
        (*rows, *sum) = (rows.saturating_add(1), sum.saturating_add(bytes));
    }

    /// Releases the room. Returns the queues for which that may have failed.
    pub(super) async fn give(self, db: &Db) -> BTreeSet<DeviceAddress> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let less = |(to, (rows, bytes)): (&DeviceAddress, &(i64, i64))| Update {
            of: of_device(to),
            change: less(*rows, *bytes),
        };
        let given = db.update_each(&db.devices, self.0.iter().map(less).collect()).await;
        if given { BTreeSet::new() } else { self.0.into_keys().collect() }
    }
}
