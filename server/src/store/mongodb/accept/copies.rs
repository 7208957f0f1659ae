//! Inserting the copies of a batch, and looking at those that exist already.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::doc;
use sealpost_api::frames::Copy;
use sealpost_crypto::DeviceAddress;

use super::plan::{Fate, Plan, PlannedCopy, Seat};
use super::room::Released;
use super::view::stored;
use crate::domain::accepting::{Accept, Refusal};
use crate::store::error::StoreError;
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::devices::in_queue;
use crate::store::mongodb::documents::queue::Row;
use crate::store::mongodb::error::{DbError, in_part, refused};
use crate::store::queue::AcceptOutcome;

/// What was found in the place of a copy.
enum There {
    /// The same message, from an attempt that broke off; its sequence.
    Same(i64),
    /// Another message with the same number.
    Other,
    /// Nothing: the copy was delivered and acked meanwhile.
    Gone,
    /// Another row with the same sequence, as after a database went back to an older state.
    Sequence,
}

/// Looks for copies that an earlier attempt left for devices that would get none by now. They exist, so the sender must
/// not be told otherwise.
pub(super) async fn keep(db: &Db, plans: &mut [Plan<'_>]) {
    let mut looks = Vec::new();
    for (place, plan) in plans.iter().enumerate() {
        for missed in &plan.missed {
            if let Some(copy) = plan.given(&missed.to) {
                let (to, accept) = (missed.to, plan.accept);
                looks.push(async move { (place, to, look(db, &to, copy, accept).await) });
            }
        }
    }
    for (place, to, found) in at_once(looks).await {
        let Some(plan) = plans.get_mut(place).filter(|plan| plan.is_open()) else { continue };
        match found {
            Ok(There::Same(row)) => {
                plan.missed.retain(|missed| missed.to != to);
                plan.kept.push((to, row));
            }
            Ok(There::Other) => plan.end(Ok(AcceptOutcome::Refused(Refusal::NumberConflict))),
            Ok(There::Gone | There::Sequence) => {}
            Err(error) => plan.end(Err(StoreError::from(error))),
        }
    }
}

/// Looks for a copy.
async fn look(db: &Db, to: &DeviceAddress, copy: &Copy, accept: &Accept) -> Result<There, DbError> {
    Ok(match stored(db, to, accept).await? {
        Some(row) if row.ciphertext.bytes == *copy.ciphertext => There::Same(row.row),
        Some(_) => There::Other,
        None => There::Gone,
    })
}

/// Inserts all copies with one call. Those that exist already are from an attempt that broke off: they count, unless
/// they have other bytes. Returns the queues whose counters are in doubt afterwards.
pub(super) async fn insert(db: &Db, plans: &mut [Plan<'_>]) -> BTreeSet<DeviceAddress> {
    let (mut rows, mut places): (Vec<Row>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    for (place, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.is_open()) {
        rows.extend(plan.copies.iter().map(|copy| plan.document(copy)));
        places.extend((0..plan.copies.len()).map(|copy| (place, copy)));
    }
    if rows.is_empty() {
        return BTreeSet::new();
    }
    let Err(error) = db.queue.insert_many(rows).ordered(false).await else { return BTreeSet::new() };
    let Some(refused) = refused(&error) else {
        let error = in_part(error.into());
        for plan in plans.iter_mut().filter(|plan| plan.is_open()) {
            plan.end(Err(error.clone()));
        }
        return BTreeSet::new();
    };
    let mut there = Vec::new();
    for (index, is_duplicate) in refused {
        let Some((place, copy)) = places.get(index).copied() else { continue };
        let Some(plan) = plans.get_mut(place) else { continue };
        if is_duplicate {
            there.push((place, copy));
        } else {
            plan.end(Err(in_part(DbError::Mongo(Box::new(error.clone())))));
        }
    }
    sort_out(db, plans, there).await
}

/// Looks at the copies that exist already. The attempt that wrote them reserved their room, so the room of this attempt
/// is released.
async fn sort_out(db: &Db, plans: &mut [Plan<'_>], there: Vec<(usize, usize)>) -> BTreeSet<DeviceAddress> {
    let read: &[Plan<'_>] = plans;
    let mut looks = Vec::with_capacity(there.len());
    for (place, copy) in there {
        let Some(plan) = read.get(place) else { continue };
        let Some(planned) = plan.copies.get(copy) else { continue };
        looks.push(async move {
            let found = match look(db, &planned.to, &planned.copy, plan.accept).await {
                Ok(There::Gone) => has_sequence(db, planned).await,
                other => other,
            };
            (place, copy, found)
        });
    }
    let found = at_once(looks).await;
    let (mut back, mut fates) = (Released::default(), BTreeMap::new());
    for (place, copy, found) in found {
        let Some(planned) = plans.get_mut(place).and_then(|plan| plan.copies.get_mut(copy)) else { continue };
        planned.seat = Seat::Gone;
        back.add(planned.to, planned.bytes());
        match found {
            Ok(There::Same(row)) => planned.seat = Seat::Earlier(row),
            Ok(There::Gone) => {}
            // What else this attempt wrote stays, and the next attempt finds it: it may have been delivered.
            Ok(There::Sequence) => drop(fates.entry(place).or_insert(Fate::Anew)),
            Ok(There::Other) => {
                fates.insert(place, Fate::Over(Ok(AcceptOutcome::Refused(Refusal::NumberConflict))));
            }
            Err(error) => drop(fates.entry(place).or_insert(Fate::Over(Err(in_part(error))))),
        }
    }
    for (place, fate) in fates {
        let Some(plan) = plans.get_mut(place).filter(|plan| plan.is_open()) else { continue };
        plan.fate = fate;
        if matches!(plan.fate, Fate::Over(Ok(_)))
            && let Err(error) = take_back(db, plan, &mut back).await
        {
            plan.end(Err(in_part(error)));
        }
    }
    back.give(db).await
}

/// Looks for a row with the sequence that a copy was to have.
async fn has_sequence(db: &Db, copy: &PlannedCopy) -> Result<There, DbError> {
    let mut at = in_queue(&copy.to);
    at.insert("row", copy.row());
    Ok(if db.queue.count_documents(at).await? > 0 { There::Sequence } else { There::Gone })
}

/// Deletes what this attempt wrote.
async fn take_back(db: &Db, plan: &Plan<'_>, back: &mut Released) -> Result<(), DbError> {
    for copy in plan.copies.iter().filter(|copy| matches!(copy.seat, Seat::Reserved(_))) {
        if db.queue.delete_one(doc! { "_id": copy.id }).await?.deleted_count == 1 {
            back.add(copy.to, copy.bytes());
        }
    }
    Ok(())
}
