//! Writing a batch: room, copies, the look at the lists, notices, numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use mongodb::options::ReturnDocument;
use sealpost_api::frames::{Copy, MissedReason, SendKind, SkipReason, Skipped};
use sealpost_crypto::sabotage::left_out;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::view::{Place, View, size, stored};
use crate::store::mongodb::documents::{Row, in_queue, listed, of_device};
use crate::store::mongodb::error::{DbError, duplicates};
use crate::store::mongodb::{Db, TRIES, notices, pause, queue, removal, values};
use crate::store::{Accept, AcceptOutcome, Refusal};

/// Operations of one step that are under way at once.
const AT_ONCE: usize = 32;

/// A message that is to be written.
pub(super) struct Plan<'a> {
    /// Its place in the batch.
    index: usize,
    accept: &'a Accept,
    now: UnixMillis,
    copies: Vec<PlannedCopy>,
    missed: Vec<(DeviceAddress, MissedReason)>,
    skipped: Vec<Skipped>,
    /// Set once it is known before the end.
    outcome: Option<AcceptOutcome>,
}

struct PlannedCopy {
    to: DeviceAddress,
    copy: Copy,
    id: ObjectId,
    /// Its sequence in the queue; `None` when it was there before and is not any more.
    row: Option<i64>,
    /// Whether this attempt wrote it.
    mine: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(index: usize, accept: &'a Accept, now: UnixMillis, places: Vec<(DeviceAddress, Place)>) -> Self {
        let mut plan =
            Self { index, accept, now, copies: Vec::new(), missed: Vec::new(), skipped: Vec::new(), outcome: None };
        for (to, place) in places {
            let reason = match place {
                Place::Queued(copy) => {
                    plan.copies.push(PlannedCopy { to, copy, id: ObjectId::new(), row: None, mine: true });
                    continue;
                }
                Place::Skipped(reason) => reason,
                Place::Share => SkipReason::QueueFull,
            };
            let missed = match reason {
                SkipReason::QueueFull => MissedReason::QueueFull,
                SkipReason::Dormant => MissedReason::Dormant,
            };
            plan.missed.push((to, missed));
            plan.skipped.push(Skipped { device: to.device, reason });
        }
        plan
    }

    fn document(&self, copy: &PlannedCopy) -> Row {
        Row {
            id: copy.id,
            account: values::account(copy.to.account),
            to: values::device(&copy.to),
            row: copy.row.unwrap_or_default(),
            from: values::address(&self.accept.from),
            number: self.accept.send.number.0.cast_signed(),
            accepted_at: values::time(self.now),
            bytes: values::number(size(&copy.copy)),
            ciphertext: values::binary(&copy.copy.ciphertext),
        }
    }
}

/// Writes the batch; the outcomes by index. What is missing has to be decided anew, and left nothing behind.
pub(super) async fn write(db: &Db, view: &View, plans: Vec<Plan<'_>>) -> Result<Vec<(usize, AcceptOutcome)>, DbError> {
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    let mut plans = reserve(db, plans).await?;
    insert(db, &mut plans).await?;
    look_again(db, view, &mut plans).await?;
    tell(db, &plans).await?;
    record(db, view, &mut plans).await?;
    Ok(plans.into_iter().filter_map(|plan| Some((plan.index, plan.outcome?))).collect())
}

/// What a batch adds to one queue.
struct Room {
    rows: i64,
    bytes: i64,
    rows_max: i64,
    bytes_max: i64,
    at: i64,
}

/// Takes room and sequences in every queue, one step a queue, as far as its quota allows. Messages for a queue that others
/// filled meanwhile are left out, and give back what they took elsewhere.
async fn reserve<'a>(db: &Db, mut plans: Vec<Plan<'a>>) -> Result<Vec<Plan<'a>>, DbError> {
    let mut rooms: BTreeMap<DeviceAddress, Room> = BTreeMap::new();
    for plan in &plans {
        let limits = &plan.accept.limits;
        for copy in &plan.copies {
            let (rows_max, bytes_max) = (values::number(limits.messages_max), values::number(limits.bytes_max));
            let empty = Room { rows: 0, bytes: 0, rows_max, bytes_max, at: 0 };
            let room = rooms.entry(copy.to).or_insert(empty);
            room.rows = room.rows.saturating_add(1);
            room.bytes = room.bytes.saturating_add(values::number(size(&copy.copy)));
            room.rows_max = room.rows_max.min(rows_max);
            room.bytes_max = room.bytes_max.min(bytes_max);
            room.at = room.at.max(values::time(plan.now));
        }
    }
    let taken: Vec<(DeviceAddress, Option<i64>)> = stream::iter(rooms)
        .map(|(to, room)| async move { Ok::<_, DbError>((to, take(db, &to, &room).await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut next: HashMap<DeviceAddress, i64> = HashMap::new();
    let mut full = BTreeSet::new();
    for (to, first) in taken {
        match first {
            Some(first) => drop(next.insert(to, first)),
            None => drop(full.insert(to)),
        }
    }
    for plan in &mut plans {
        for copy in &mut plan.copies {
            if let Some(row) = next.get_mut(&copy.to) {
                copy.row = Some(*row);
                *row = row.saturating_add(1);
            }
        }
    }
    let (left, out): (Vec<Plan<'a>>, Vec<Plan<'a>>) =
        plans.into_iter().partition(|plan| !plan.copies.iter().any(|copy| full.contains(&copy.to)));
    for copy in out.iter().flat_map(|plan| &plan.copies).filter(|copy| copy.row.is_some()) {
        queue::give_back(db, &copy.to, 1, values::number(size(&copy.copy))).await?;
    }
    Ok(left)
}

/// The first of the sequences taken; `None` when there is not enough room.
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

/// Inserts all copies with one call. Those that are there already are from an attempt that broke off: they count, unless
/// they have other bytes.
async fn insert(db: &Db, plans: &mut Vec<Plan<'_>>) -> Result<(), DbError> {
    let rows: Vec<Row> = plans.iter().flat_map(|plan| plan.copies.iter().map(|copy| plan.document(copy))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let Err(error) = db.queue.insert_many(rows).ordered(false).await else { return Ok(()) };
    let Some(there) = duplicates(&error) else { return Err(error.into()) };
    let there: BTreeSet<usize> = there.into_iter().collect();
    let (mut place, mut anew) = (0_usize, BTreeSet::new());
    for plan in plans.iter_mut() {
        let mut conflict = false;
        for copy in &mut plan.copies {
            let is_there = there.contains(&place);
            place = place.saturating_add(1);
            if !is_there {
                continue;
            }
            copy.mine = false;
            queue::give_back(db, &copy.to, 1, values::number(size(&copy.copy))).await?;
            match stored(db, &copy.to, plan.accept).await? {
                Some(row) => {
                    conflict |= row.ciphertext.bytes != *copy.copy.ciphertext;
                    copy.row = Some(row.row);
                }
                // Delivered and acked meanwhile; unless another row has the sequence, as after a database went back.
                None if has_sequence(db, &copy.to, copy.row).await? => drop(anew.insert(plan.index)),
                None => copy.row = None,
            }
        }
        if conflict {
            take_back(db, plan).await?;
            plan.outcome = Some(AcceptOutcome::Refused(Refusal::NumberConflict));
        } else if anew.contains(&plan.index) {
            take_back(db, plan).await?;
        }
    }
    plans.retain(|plan| !anew.contains(&plan.index));
    Ok(())
}

async fn has_sequence(db: &Db, to: &DeviceAddress, row: Option<i64>) -> Result<bool, DbError> {
    let mut at = in_queue(to);
    at.insert("row", row);
    Ok(db.queue.count_documents(at).await? > 0)
}

/// Deletes what this attempt wrote.
async fn take_back(db: &Db, plan: &Plan<'_>) -> Result<(), DbError> {
    for copy in plan.copies.iter().filter(|copy| copy.mine) {
        if db.queue.delete_one(doc! { "_id": copy.id }).await?.deleted_count == 1 {
            queue::give_back(db, &copy.to, 1, values::number(size(&copy.copy))).await?;
        }
    }
    Ok(())
}

/// Reads the lists again, after the copies are durable: a device that is new since has no copy, so that the sender must
/// know of it. One that became current after this look comes after the message.
async fn look_again(db: &Db, view: &View, plans: &mut [Plan<'_>]) -> Result<(), DbError> {
    let listings = removal::listings(db, plans.iter().map(|plan| plan.accept.send.to)).await?;
    for plan in plans.iter_mut().filter(|plan| plan.outcome.is_none()) {
        let to = plan.accept.send.to;
        let Some(listing) = listings.get(&to) else {
            plan.outcome = Some(AcceptOutcome::Withdrawn(Refusal::RecipientUnknown));
            continue;
        };
        if Some(listing.list_version) == view.list_version(&to) || plan.accept.send.kind == SendKind::Device {
            continue;
        }
        let known = |address: &DeviceAddress| {
            *address == plan.accept.from
                || plan.copies.iter().any(|copy| copy.to == *address)
                || plan.missed.iter().any(|(missed, _)| missed == address)
        };
        let listed = listed(to, &listing.devices)?;
        let missing: Vec<_> = listed.iter().filter(|address| !known(address)).map(|address| address.device).collect();
        if !missing.is_empty() {
            let refusal = Refusal::DevicesMismatch { missing, extra: Vec::new(), stale: Vec::new() };
            plan.outcome = Some(AcceptOutcome::Withdrawn(refusal));
        }
    }
    Ok(())
}

/// Tells the devices that get no copy.
async fn tell(db: &Db, plans: &[Plan<'_>]) -> Result<(), DbError> {
    for plan in plans.iter().filter(|plan| plan.outcome.is_none()) {
        for (to, reason) in &plan.missed {
            notices::missed(db, to, &plan.accept.from, &[plan.accept.send.number], *reason, plan.now).await?;
        }
    }
    Ok(())
}

/// Records the numbers, one step a sender, conditional on its epoch and on the window that is being replaced.
async fn record(db: &Db, view: &View, plans: &mut [Plan<'_>]) -> Result<(), DbError> {
    let mut senders: BTreeMap<DeviceAddress, Vec<usize>> = BTreeMap::new();
    for (place, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.outcome.is_none()) {
        senders.entry(plan.accept.from).or_default().push(place);
    }
    let plans_read: &[Plan<'_>] = plans;
    let recorded: Vec<(Vec<usize>, bool)> = stream::iter(senders)
        .map(|(from, places)| async move {
            let accepts: Vec<&Accept> =
                places.iter().filter_map(|place| plans_read.get(*place)).map(|plan| plan.accept).collect();
            let recorded = record_sender(db, view, &from, &accepts).await?;
            Ok::<_, DbError>((places, recorded))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for (places, recorded) in recorded {
        for place in places {
            let Some(plan) = plans.get_mut(place) else { continue };
            plan.outcome = Some(if recorded {
                let rows = plan.copies.iter().filter_map(|copy| Some((copy.to, values::message_row(copy.row?))));
                AcceptOutcome::Accepted { rows: rows.collect(), skipped: std::mem::take(&mut plan.skipped) }
            } else {
                AcceptOutcome::Withdrawn(Refusal::Superseded)
            });
        }
    }
    Ok(())
}

/// Whether the numbers were recorded; not, when the sender has a newer connection.
async fn record_sender(db: &Db, view: &View, from: &DeviceAddress, accepts: &[&Accept]) -> Result<bool, DbError> {
    let Some(epoch) = accepts.first().map(|accept| accept.epoch.0.cast_signed()) else { return Ok(true) };
    let mut hot = view.hot(from).cloned();
    for tried in 1..=TRIES {
        let Some(read) = hot else { return Ok(false) };
        if !left_out(22) && read.epoch != epoch {
            return Ok(false);
        }
        let mut window = read.window()?;
        for accept in accepts {
            window.record(accept.send.number);
        }
        let mut same = of_device(from);
        same.extend(doc! { "epoch": read.epoch, "window_rev": read.window_rev });
        let next = doc! { "$set": {
            "highest": window.highest().0.cast_signed(),
            "window": values::binary(&window.to_bitmap()),
            "window_rev": read.window_rev.saturating_add(1),
        } };
        if db.devices.update_one(same, next).await?.matched_count == 1 {
            return Ok(true);
        }
        pause(tried).await;
        hot = db.hot(from).await?;
    }
    Err(DbError::Contended)
}
