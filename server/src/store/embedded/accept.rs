//! Accepting a message: window, list, quotas, copies and the number, in one step.

use rusqlite::{OptionalExtension as _, params};
use sealpost_api::frames::{Copy, Skipped};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::error::DbError;
use super::writer::Tx;
use super::{notices, rows};
use crate::domain::window::NumberState;
use crate::store::places::{Addressed, Load, Place, address, nobody_reached, place, size};
use crate::store::{Accept, AcceptOutcome, Refusal};

/// See [`crate::store::QueueStore::accept`]; nothing is written before all of it is decided.
pub(super) fn accept(tx: &mut Tx<'_>, accept: &Accept, now: UnixMillis) -> Result<AcceptOutcome, DbError> {
    let refused = |refusal| Ok(AcceptOutcome::Refused(refusal));
    let Some(sender) = tx.cache.listed(tx.db, &accept.from)? else { return refused(Refusal::RecipientUnknown) };
    let from = tx.cache.device(sender)?;
    if !without(Countermeasure::ConnectionEpoch) && from.connection_epoch != accept.epoch.0 {
        return refused(Refusal::Superseded);
    }
    match from.window.state(accept.send.number) {
        NumberState::New => {}
        NumberState::TooOld => return refused(Refusal::NumberTooOld),
        NumberState::Accepted if without(Countermeasure::AcceptedNumbers) => {}
        NumberState::Accepted => return accepted_before(tx, accept, sender),
    }
    let Some(list) = tx.cache.list(tx.db, accept.send.to)? else { return refused(Refusal::RecipientUnknown) };
    let mut devices = Vec::with_capacity(list.len());
    for dev in list.iter().copied() {
        let device = tx.cache.device(dev)?;
        let dormant = now.since(rows::millis(device.last_seen_at)) >= accept.limits.dormant_after_millis;
        devices.push(Addressed { key: dev, address: device.address, dormant });
    }
    let addressed = match address(accept, devices) {
        Ok(addressed) => addressed,
        Err(refusal) => return refused(refusal),
    };
    let mut places = Vec::with_capacity(addressed.len());
    for (to, copy) in addressed {
        let device = tx.cache.device(to.key)?;
        let queue = Load { messages: device.queue_messages, bytes: device.queue_bytes };
        let share = || tx.cache.share(tx.db, to.key, accept.from.account);
        places.push((to.key, place(copy, to.dormant, &accept.limits, queue, share)?));
    }
    if let Some(refusal) = nobody_reached(&places) {
        return refused(refusal);
    }
    if let Err(millis) = accept.rate {
        return refused(Refusal::RateLimited(millis));
    }
    tx.space.require()?;
    write(tx, accept, sender, places, now)
}

/// A number that was accepted before: a repetition, unless a copy that still waits has other bytes.
fn accepted_before(tx: &mut Tx<'_>, accept: &Accept, sender: i64) -> Result<AcceptOutcome, DbError> {
    let mut select =
        tx.db.prepare_cached("SELECT ciphertext = ?4 FROM queue WHERE dev = ?1 AND sender_dev = ?2 AND number = ?3")?;
    for copy in &accept.send.copies {
        let address = DeviceAddress { account: accept.send.to, device: copy.device, registration: copy.registration };
        let Some(dev) = tx.cache.listed(tx.db, &address)? else { continue };
        let number = accept.send.number.0.cast_signed();
        let same: Option<bool> =
            select.query_row(params![dev, sender, number, &*copy.ciphertext], |row| row.get(0)).optional()?;
        if same == Some(false) {
            return Ok(AcceptOutcome::Refused(Refusal::NumberConflict));
        }
    }
    Ok(AcceptOutcome::AlreadyAccepted)
}

fn write(
    tx: &mut Tx<'_>,
    accept: &Accept,
    sender: i64,
    places: Vec<(i64, Place)>,
    now: UnixMillis,
) -> Result<AcceptOutcome, DbError> {
    let (mut queued, mut skipped) = (Vec::with_capacity(places.len()), Vec::new());
    for (dev, place) in places {
        let told = place.told();
        if let Place::Queued(copy) = place {
            let row = queue(tx, dev, sender, accept.send.number, &copy, now)?;
            tx.cache.share_grew(dev, accept.from.account, size(&copy));
            if without(Countermeasure::AllCopies) {
                tx.db.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            }
            queued.push((tx.cache.device(dev)?.address, row));
        }
        let Some((reason, missed)) = told else { continue };
        notices::missed(tx.db, dev, &accept.from, 1, missed, now)?;
        skipped.push(Skipped { device: tx.cache.device(dev)?.address.device, reason });
    }
    tx.cache.device_mut(sender)?.window.record(accept.send.number);
    Ok(AcceptOutcome::Accepted { rows: queued, skipped })
}

fn queue(
    tx: &mut Tx<'_>,
    dev: i64,
    sender: i64,
    number: MessageNumber,
    copy: &Copy,
    now: UnixMillis,
) -> Result<RowId, DbError> {
    let device = tx.cache.device_mut(dev)?;
    let id = rows::queue_id(dev, device.queue_next).ok_or(DbError::Corrupt("a queue has no sequence left"))?;
    device.queue_next = device.queue_next.saturating_add(1);
    device.queue_messages = device.queue_messages.saturating_add(1);
    device.queue_bytes = device.queue_bytes.saturating_add(size(copy));
    tx.db
        .prepare_cached(
            "INSERT INTO queue (id, dev, sender_dev, number, accepted_at, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, dev, sender, number.0.cast_signed(), rows::time(now), &*copy.ciphertext])?;
    Ok(rows::queue_row(id))
}
