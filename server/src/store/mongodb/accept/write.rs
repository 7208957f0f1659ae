//! Writing a batch: room, copies, the look at the lists, notices, numbers. A step goes on with what the former left open.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::frames::{MissedReason, SendKind};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::plan::{Fate, Plan};
use super::view::View;
use super::{Outcome, at_once, copies, numbers, room};
use crate::store::mongodb::documents::listed;
use crate::store::mongodb::error::in_part;
use crate::store::mongodb::{Db, notices, removal};
use crate::store::{AcceptOutcome, Refusal, reasons};

/// Writes the batch; the outcomes by index. What is missing has to be decided anew.
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

/// Reads the lists again, after the copies are durable: a device that is new since has no copy, so that the sender must
/// know of it. One that became current after this look comes after the message.
async fn look_again(db: &Db, view: &View, plans: &mut [Plan<'_>]) {
    let recipients: BTreeSet<_> = plans.iter().filter(|plan| plan.is_open()).map(|plan| plan.accept.send.to).collect();
    let listings = removal::listings(db, recipients).await.map_err(in_part);
    for plan in plans.iter_mut().filter(|plan| plan.is_open()) {
        let to = plan.accept.send.to;
        let listing = match &listings {
            Ok(listings) => listings.get(&to),
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

/// Whether a message has been decided on for this device.
fn knows(plan: &Plan<'_>, address: &DeviceAddress) -> bool {
    *address == plan.accept.from
        || plan.copies.iter().any(|copy| copy.to == *address)
        || plan.kept.iter().any(|(kept, _)| kept == address)
        || plan.missed.iter().any(|missed| missed.to == *address)
}

/// What one device is told of another's messages.
struct Told {
    to: DeviceAddress,
    from: DeviceAddress,
    reason: MissedReason,
    numbers: Vec<MessageNumber>,
    now: UnixMillis,
    /// The plans that it comes from.
    places: Vec<usize>,
}

/// Tells the devices that get no copy, with one notice for all that one device missed of another.
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
