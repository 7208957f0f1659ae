//! Writing a batch: room, copies, the second look at the lists, notices, numbers. Each step continues with what the
//! former one left open.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::frames::{MissedReason, SendKind};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::outcome::Outcome;
use super::plan::{Fate, Plan};
use super::view::View;
use super::{copies, numbers, room};
use crate::domain::accepting::Refusal;
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::collections::{listings, notices};
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::accounts::listed;
use crate::store::mongodb::error::in_part;
use crate::store::queue::AcceptOutcome;
use crate::store::reasons;

/// Writes the batch. Returns the outcomes by index; messages without one have to be decided again.
pub(super) async fn write(db: &Db, view: &View, mut plans: Vec<Plan<'_>>) -> Vec<(usize, Outcome)> {
    copies::keep(db, &mut plans).await;
    let queues = |plan: &Plan<'_>| plan.copies.iter().map(|copy| copy.to).collect::<Vec<_>>();
    let doubt = db.doubt(plans.iter().flat_map(queues));
    let mut doubtful = room::reserve(db, &mut plans).await;
    doubtful.append(&mut copies::insert(db, &mut plans).await);
    look_again(db, view, &mut plans).await;
    tell(db, &mut plans).await;
    numbers::record(db, view, &mut plans).await;
    doubtful.extend(plans.iter().filter(|plan| matches!(plan.fate, Fate::Over(Err(_)))).flat_map(queues));
    doubt.resolve_but(&doubtful);
    let outcomes = plans.into_iter().filter_map(|plan| match plan.fate {
        Fate::Over(outcome) => Some((plan.index, outcome)),
        Fate::Open | Fate::Anew => None,
    });
    outcomes.collect()
}

/// Reads the lists again, after the copies are durable. A device that is new since then has no copy, so the sender must
/// know of it. A list that becomes current after this look comes after the message.
async fn look_again(db: &Db, view: &View, plans: &mut [Plan<'_>]) {
    let recipients: BTreeSet<_> = plans.iter().filter(|plan| plan.is_open()).map(|plan| plan.accept.send.to).collect();
    let current = listings::listings(db, recipients).await.map_err(in_part);
    for plan in plans.iter_mut().filter(|plan| plan.is_open()) {
        let to = plan.accept.send.to;
        let listing = match &current {
            Ok(current) => current.get(&to),
            Err(error) => {
                plan.end(Err(error.clone()));
                continue;
            }
        };
        let Some(listing) = listing else {
            plan.end(Ok(AcceptOutcome::Withdrawn(Refusal::RecipientUnknown)));
            continue;
        };
        if Some(listing.list_version) == view.list_version(&to) || plan.accept.send.kind == SendKind::Device {
            continue;
        }
        match listed(to, &listing.devices) {
            Ok(devices) => {
                let devices = devices.into_iter().filter(|address| !knows(plan, address));
                let missing: Vec<_> = devices.map(|address| address.device).collect();
                if !missing.is_empty() {
                    let refusal = Refusal::DevicesMismatch { missing, extra: Vec::new(), stale: Vec::new() };
                    plan.end(Ok(AcceptOutcome::Withdrawn(refusal)));
                }
            }
            Err(error) => plan.end(Err(in_part(error))),
        }
    }
}

/// Returns whether a message was decided on for this device.
fn knows(plan: &Plan<'_>, address: &DeviceAddress) -> bool {
    *address == plan.accept.from
        || plan.copies.iter().any(|copy| copy.to == *address)
        || plan.kept.iter().any(|(kept, _)| kept == address)
        || plan.missed.iter().any(|missed| missed.to == *address)
}

/// What one device is told about the messages of another.
struct Told {
    to: DeviceAddress,
    from: DeviceAddress,
    reason: MissedReason,
    numbers: Vec<MessageNumber>,
    now: UnixMillis,
    /// The plans that these messages belong to.
    places: Vec<usize>,
}

/// Writes notices for the devices that get no copy: one notice for all that one device missed of another.
async fn tell(db: &Db, plans: &mut [Plan<'_>]) {
    let mut all: BTreeMap<(DeviceAddress, DeviceAddress, i32), Told> = BTreeMap::new();
    for (place, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.is_open()) {
        let from = plan.accept.from;
        for missed in &plan.missed {
            let (to, reason) = (missed.to, missed.told);
            let told = all.entry((to, from, reasons::missed_code(reason))).or_insert_with(|| {
                let (numbers, places) = (Vec::new(), Vec::new());
                Told { to, from, reason, numbers, now: plan.now, places }
            });
            told.numbers.push(plan.accept.send.number);
            told.places.push(place);
        }
    }
    let mut telling = Vec::with_capacity(all.len());
    for told in all.into_values() {
        telling.push(async move {
            let done = notices::missed(db, &told.to, &told.from, &told.numbers, told.reason, told.now).await;
            (told.places, done)
        });
    }
    for (places, done) in at_once(telling).await {
        let Err(error) = done.map_err(in_part) else { continue };
        for place in places {
            if let Some(plan) = plans.get_mut(place) {
                plan.end(Err(error.clone()));
            }
        }
    }
}
