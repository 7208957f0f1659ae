//! Accepting a message: window, list, quotas, copies and the number, in one step.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};
use sealpost_api::frames::{Copy, MissedReason, SendKind, SkipReason, Skipped};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_crypto::sabotage::left_out;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::cache::Cache;
use super::error::DbError;
use super::writer::Tx;
use super::{notices, rows};
use crate::domain::window::NumberState;
use crate::store::{Accept, AcceptOutcome, QueueLimits, Refusal};

/// What becomes of one device's copy.
enum Place {
    /// It is queued.
    Queued(Copy),
    /// The device is away or its queue is full.
    Skipped(SkipReason),
    /// The sender account has its share of this queue already.
    Share,
}

/// See [`crate::store::QueueStore::accept`]; nothing is written before all of it is decided.
pub(super) fn accept(tx: &mut Tx<'_>, accept: &Accept, now: UnixMillis) -> Result<AcceptOutcome, DbError> {
    let refused = |refusal| Ok(AcceptOutcome::Refused(refusal));
    let Some(sender) = tx.cache.listed(tx.db, &accept.from)? else { return refused(Refusal::RecipientUnknown) };
    let from = tx.cache.device(sender)?;
    if !left_out(22) && from.connection_epoch != accept.epoch.0 {
        return refused(Refusal::Superseded);
    }
    match from.window.state(accept.send.number) {
        NumberState::New => {}
        NumberState::TooOld => return refused(Refusal::NumberTooOld),
        NumberState::Accepted if left_out(16) => {}
        NumberState::Accepted => return accepted_before(tx, accept, sender),
    }
    let Some(list) = tx.cache.list(tx.db, accept.send.to)? else { return refused(Refusal::RecipientUnknown) };
    let addressed = match address(tx.cache, accept, sender, &list, now)? {
        Ok(addressed) => addressed,
        Err(refusal) => return refused(refusal),
    };
    let mut places = Vec::with_capacity(addressed.len());
    for (dev, copy) in addressed {
        places.push((dev, place(tx, dev, copy, accept, now)?));
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

type Addressed = Vec<(i64, Option<Copy>)>;

/// Matches the copies with the list. A device without a copy stays only if it is dormant.
fn address(
    cache: &Cache,
    accept: &Accept,
    sender: i64,
    list: &Arc<[i64]>,
    now: UnixMillis,
) -> Result<Result<Addressed, Refusal>, DbError> {
    let (mut missing, mut extra, mut stale) = (Vec::new(), Vec::new(), Vec::new());
    let mut addressed = Addressed::with_capacity(list.len());
    let mut copies: Vec<Option<&Copy>> = accept.send.copies.iter().map(Some).collect();
    for dev in list.iter().copied().filter(|dev| *dev != sender) {
        let device = cache.device(dev)?;
        let copy = copies
            .iter_mut()
            .find(|copy| copy.is_some_and(|copy| copy.device == device.address.device))
            .and_then(Option::take);
        match copy {
            Some(copy) if copy.registration == device.address.registration || left_out(26) => {
                addressed.push((dev, Some(copy.clone())));
            }
            Some(copy) => stale.push(copy.device),
            None if accept.send.kind == SendKind::Device => {}
            None if dormant(device.last_seen_at, &accept.limits, now) => addressed.push((dev, None)),
            None => missing.push(device.address.device),
        }
    }
    extra.extend(copies.into_iter().flatten().map(|copy| copy.device));
    if accept.send.kind == SendKind::Device {
        // Exactly one: what was sent beyond it is too much.
        extra.extend(addressed.iter().skip(1).filter_map(|(_, copy)| copy.as_ref().map(|copy| copy.device)));
    }
    let one_is_there = accept.send.kind == SendKind::Message || addressed.len() == 1;
    if missing.is_empty() && extra.is_empty() && stale.is_empty() && one_is_there {
        Ok(Ok(addressed))
    } else {
        Ok(Err(Refusal::DevicesMismatch { missing, extra, stale }))
    }
}

fn dormant(last_seen_at: i64, limits: &QueueLimits, now: UnixMillis) -> bool {
    now.since(rows::millis(last_seen_at)) >= limits.dormant_after_millis
}

fn place(tx: &mut Tx<'_>, dev: i64, copy: Option<Copy>, accept: &Accept, now: UnixMillis) -> Result<Place, DbError> {
    let limits = &accept.limits;
    let device = tx.cache.device(dev)?;
    let Some(copy) = copy.filter(|_| !dormant(device.last_seen_at, limits, now)) else {
        return Ok(Place::Skipped(SkipReason::Dormant));
    };
    let bytes = u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX);
    if device.queue_messages >= limits.messages_max || device.queue_bytes.saturating_add(bytes) > limits.bytes_max {
        return Ok(Place::Skipped(SkipReason::QueueFull));
    }
    let (messages, stored) = (device.queue_messages, device.queue_bytes);
    let share = tx.cache.share(tx.db, dev, accept.from.account)?;
    let fair = left_out(24)
        || (QueueLimits::is_fair(limits.messages_max, messages, share.messages, 1)
            && QueueLimits::is_fair(limits.bytes_max, stored, share.bytes, bytes));
    if share.messages >= limits.sender_messages_max || !fair {
        return Ok(Place::Share);
    }
    Ok(Place::Queued(copy))
}

/// Why nobody gets a copy; `None` when somebody does, or when nobody had to (an account's only device writes to it).
fn nobody_reached(places: &[(i64, Place)]) -> Option<Refusal> {
    if places.is_empty() || places.iter().any(|(_, place)| matches!(place, Place::Queued(_))) {
        return None;
    }
    let any = |wanted: fn(&Place) -> bool| places.iter().any(|(_, place)| wanted(place));
    Some(if any(|place| matches!(place, Place::Share)) {
        Refusal::QueueShare
    } else if any(|place| matches!(place, Place::Skipped(SkipReason::QueueFull))) {
        Refusal::QueueFull
    } else {
        Refusal::Dormant
    })
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
        let reason = match place {
            Place::Queued(copy) => {
                let row = queue(tx, dev, sender, accept.send.number, &copy, now)?;
                let bytes = u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX);
                tx.cache.share_grew(dev, accept.from.account, bytes);
                if left_out(27) {
                    tx.db.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
                }
                queued.push((tx.cache.device(dev)?.address, row));
                continue;
            }
            Place::Skipped(reason) => reason,
            Place::Share => SkipReason::QueueFull,
        };
        let missed = match reason {
            SkipReason::QueueFull => MissedReason::QueueFull,
            SkipReason::Dormant => MissedReason::Dormant,
        };
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
    device.queue_bytes = device.queue_bytes.saturating_add(u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX));
    tx.db
        .prepare_cached(
            "INSERT INTO queue (id, dev, sender_dev, number, accepted_at, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, dev, sender, number.0.cast_signed(), rows::time(now), &*copy.ciphertext])?;
    Ok(rows::queue_row(id))
}
