//! Recording the numbers of a batch in its senders' windows, conditional on their epochs and on the windows that are
//! replaced.

use std::collections::BTreeMap;

use mongodb::bson::doc;
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, holds};

use super::plan::Plan;
use super::view::View;
use crate::domain::accepting::{Accept, Refusal};
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::bulk::Update;
use crate::store::mongodb::collections::devices::is_superseded;
use crate::store::mongodb::db::{Db, TRIES, pause};
use crate::store::mongodb::documents::devices::{Hot, of_device};
use crate::store::mongodb::error::{DbError, in_part};
use crate::store::mongodb::values;
use crate::store::queue::AcceptOutcome;

/// Records the numbers with one call. If anything differs from what was read, or the answer does not confirm all of
/// them, records them sender by sender: recording a number twice changes nothing.
pub(super) async fn record(db: &Db, view: &View, plans: &mut [Plan<'_>]) {
    let mut senders: BTreeMap<DeviceAddress, Vec<usize>> = BTreeMap::new();
    for (place, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.is_open()) {
        senders.entry(plan.accept.from).or_default().push(place);
    }
    let read: &[Plan<'_>] = plans;
    let accepts = |places: &[usize]| -> Vec<&Accept> {
        places.iter().filter_map(|place| read.get(*place)).map(|plan| plan.accept).collect()
    };
    let mut updates = Vec::with_capacity(senders.len());
    for (from, places) in &senders {
        let accepts = accepts(places);
        let Some(hot) = view.hot(from).filter(|hot| is_of(hot, &accepts)) else { continue };
        updates.extend(next(from, hot, &accepts).ok());
    }
    let all = updates.len() > 1 && updates.len() == senders.len() && db.update_each(&db.devices, updates).await;
    let mut recording = Vec::with_capacity(senders.len());
    for (from, places) in senders {
        let accepts = accepts(&places);
        recording.push(async move {
            let recorded = if all { Ok(true) } else { record_one(db, view, &from, &accepts).await };
            (places, recorded)
        });
    }
    for (places, recorded) in at_once(recording).await {
        let recorded = recorded.map_err(in_part);
        for place in places {
            let Some(plan) = plans.get_mut(place) else { continue };
            let outcome = recorded.clone().map(|recorded| match recorded {
                true => plan.accepted(),
                false => AcceptOutcome::Withdrawn(Refusal::Superseded),
            });
            plan.end(outcome);
        }
    }
}

/// Returns whether the document is of the connection that these messages came on.
fn is_of(hot: &Hot, accepts: &[&Accept]) -> bool {
    let same = accepts.iter().all(|accept| hot.epoch == accept.epoch.0.cast_signed());
    holds(Countermeasure::ConnectionEpoch, same)
}

/// The update from the window as it was read to the one with these numbers.
fn next(from: &DeviceAddress, read: &Hot, accepts: &[&Accept]) -> Result<Update, DbError> {
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
    Ok(Update { of: same, change: next })
}

/// Records numbers of one sender. Returns `false` if the sender has a newer connection.
async fn record_one(db: &Db, view: &View, from: &DeviceAddress, accepts: &[&Accept]) -> Result<bool, DbError> {
    let Some(epoch) = accepts.first().map(|accept| accept.epoch) else { return Ok(true) };
    let mut hot = view.hot(from).cloned();
    for tried in 1..=TRIES {
        let Some(read) = hot else { return Ok(false) };
        if is_superseded(read.epoch, epoch)? {
            return Ok(false);
        }
        let Update { of, change } = next(from, &read, accepts)?;
        if db.devices.update_one(of, change).await?.matched_count == 1 {
            return Ok(true);
        }
        pause(tried).await;
        hot = db.hot(from).await?;
    }
    Err(DbError::Contended)
}
