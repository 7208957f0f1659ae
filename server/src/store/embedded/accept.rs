//! Accepting a message: copies and number become durable in one transaction.

use rusqlite::{OptionalExtension as _, params};
use sealpost_api::frames::{Copy, Skipped};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses, without};

use super::error::DbError;
use super::tables::{columns, notices, row_ids};
use super::threads::tx::Tx;
use crate::domain::accepting::{Accept, Decision, Place, Recipient, Refusal, Seen, decide, judge_number, size};
use crate::domain::quotas::Load;
use crate::store::queue::AcceptOutcome;

/// See [`QueueStore::accept`](crate::store::QueueStore::accept). Decides everything before it writes anything.
pub(super) fn accept(tx: &mut Tx<'_>, accept: &Accept, now: UnixMillis) -> Result<AcceptOutcome, DbError> {
    let refused = |refusal| Ok(AcceptOutcome::Refused(refusal));
    let Some(sender) = tx.cache.listed(tx.db, &accept.from)? else { return refused(Refusal::RecipientUnknown) };
    let from = tx.cache.device(sender)?;
    if refuses(Countermeasure::ConnectionEpoch, from.connection_epoch != accept.epoch.0) {
        return refused(Refusal::Superseded);
    }
    match judge_number(&from.window, accept.send.number) {
        Ok(Seen::First) => {}
        Ok(Seen::Before) => return accepted_before(tx, accept, sender),
        Err(refusal) => return refused(refusal),
    }
    let Some(list) = tx.cache.list(tx.db, accept.send.to)? else { return refused(Refusal::RecipientUnknown) };
    let mut devices = Vec::with_capacity(list.len());
    for dev in list.iter().copied() {
        let device = tx.cache.device(dev)?;
        let queue = Load { messages: device.queue_messages, bytes: device.queue_bytes };
        let last_seen_at = columns::millis(device.last_seen_at);
        devices.push(Recipient { key: dev, address: device.address, last_seen_at, queue });
    }
    let share = |dev: &i64| tx.cache.share(tx.db, *dev, accept.from.account);
    let places = match decide(accept, devices, now, share)? {
        Decision::Write(places) => places,
        Decision::Refused(refusal) => return refused(refusal),
    };
    tx.space.require()?;
    write(tx, accept, sender, places, now)
}

/// Answers a number that was accepted before: a repetition, unless a copy that still waits has other bytes.
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

/// Writes the copies, the notices of skipped devices, and the number.
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
            planted_commit_of_each_copy(tx)?;
            queued.push((tx.cache.device(dev)?.address, row));
        }
        let Some((reason, missed)) = told else { continue };
        notices::missed(tx.db, dev, &accept.from, 1, missed, now)?;
        skipped.push(Skipped { device: tx.cache.device(dev)?.address.device, reason });
    }
    tx.cache.device_mut(sender)?.window.record(accept.send.number);
    Ok(AcceptOutcome::Accepted { rows: queued, skipped })
}

/// Appends a copy to a device's queue.
fn queue(
    tx: &mut Tx<'_>,
    dev: i64,
    sender: i64,
    number: MessageNumber,
    copy: &Copy,
    now: UnixMillis,
) -> Result<RowId, DbError> {
    let device = tx.cache.device_mut(dev)?;
    let id = row_ids::queue_id(dev, device.queue_next).ok_or(DbError::Corrupt("a queue has no sequence left"))?;
    device.queue_next = device.queue_next.saturating_add(1);
    device.queue_messages = device.queue_messages.saturating_add(1);
    device.queue_bytes = device.queue_bytes.saturating_add(size(copy));
    tx.db
        .prepare_cached(
            "INSERT INTO queue (id, dev, sender_dev, number, accepted_at, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, dev, sender, number.0.cast_signed(), columns::time(now), &*copy.ciphertext])?;
    Ok(row_ids::queue_row(id))
}

/// A planted fault: commits after each copy.
fn planted_commit_of_each_copy(tx: &Tx<'_>) -> Result<(), DbError> {
    if without(Countermeasure::AllCopies) {
        tx.db.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
    }
    Ok(())
}
