//! The sweep: expires what waited too long, and forgets what nothing refers to any more.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{columns, devices, notices, row_ids};
use super::threads::job::Class;
use super::threads::tx::Tx;
use crate::store::error::StoreError;
use crate::store::queue::ExpiredRows;

/// Most rows of each kind of residue that one sweep deletes, so that the writer is never held up for long.
const RESIDUE_MAX: i64 = 1_000;

/// See [`QueueStore::expire`](crate::store::QueueStore::expire). The search runs beside the writer; the deletions and
/// their notices are one transaction, which looks again at what it deletes.
pub(super) async fn sweep(
    store: &EmbeddedStore,
    before: UnixMillis,
    now: UnixMillis,
    limit: usize,
) -> Result<ExpiredRows, StoreError> {
    let (due, tombstones) = store.read(move |db| Ok((due(db, before, limit)?, unreferenced(db, before)?))).await?;
    store
        .write(Class::Sweeping, move |tx| {
            let mut expired = ExpiredRows::default();
            let mut notified = BTreeSet::new();
            for (dev, address) in &due {
                let left = limit.saturating_sub(usize::try_from(expired.deleted).unwrap_or(usize::MAX));
                let deleted = expire_queue(tx, *dev, address, before, now, left, &mut notified)?;
                expired.deleted = expired.deleted.saturating_add(deleted);
            }
            forget_residue(tx.db, before, now)?;
            for dev in &tombstones {
                forget_tombstone(tx.db, *dev, before)?;
            }
            expired.notified = notified.into_iter().collect();
            Ok(expired)
        })
        .await
}

/// Forgets a device that left its list before `before`, and its ended sessions.
fn forget_tombstone(db: &Connection, dev: i64, before: UnixMillis) -> Result<(), DbError> {
    db.prepare_cached("DELETE FROM devices WHERE dev = ?1 AND listed = 0 AND removed_at < ?2")?
        .execute(params![dev, columns::time(before)])?;
    db.prepare_cached("DELETE FROM sessions WHERE dev = ?1 AND ended = 1")?.execute([dev])?;
    Ok(())
}

/// Returns up to `limit` devices whose oldest row was accepted before `before`.
fn due(db: &Connection, before: UnixMillis, limit: usize) -> Result<Vec<(i64, DeviceAddress)>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, account_id, device_id, registration FROM devices WHERE listed = 1 AND queue_messages > 0",
    )?;
    let mut oldest =
        db.prepare_cached("SELECT accepted_at FROM queue WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")?;
    let (mut due, mut found) = (Vec::new(), select.query([])?);
    while let Some(row) = found.next()?
        && due.len() < limit
    {
        let dev = row.get(0)?;
        let (first, last) = row_ids::queue_range(dev)?;
        let accepted_at: Option<i64> = oldest.query_row([first, last], |row| row.get(0)).optional()?;
        if accepted_at.is_some_and(|accepted_at| accepted_at < columns::time(before)) {
            due.push((dev, columns::address(row, 1)?));
        }
    }
    Ok(due)
}

/// Returns removed devices that no queue names as a sender. Searches only if a device was removed long enough ago.
fn unreferenced(db: &Connection, before: UnixMillis) -> Result<Vec<i64>, DbError> {
    let mut select =
        db.prepare_cached("SELECT dev FROM devices WHERE listed = 0 AND removed_at < ?1 ORDER BY removed_at LIMIT ?2")?;
    let mut removed: BTreeSet<i64> = select
        .query_map(params![columns::time(before), RESIDUE_MAX], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if !removed.is_empty() {
        let mut senders = db.prepare_cached("SELECT DISTINCT sender_dev FROM queue INDEXED BY queue_numbers")?;
        let mut found = senders.query([])?;
        while let Some(row) = found.next()? {
            removed.remove(&row.get(0)?);
        }
    }
    Ok(removed.into_iter().collect())
}

/// Expires the oldest rows of one queue: notices for both sides, then the deletion, in one transaction.
fn expire_queue(
    tx: &mut Tx<'_>,
    dev: i64,
    address: &DeviceAddress,
    before: UnixMillis,
    now: UnixMillis,
    limit: usize,
    notified: &mut BTreeSet<DeviceAddress>,
) -> Result<u64, DbError> {
    let db = tx.db;
    let (first, last) = row_ids::queue_range(dev)?;
    let mut senders: BTreeMap<i64, Vec<MessageNumber>> = BTreeMap::new();
    let (mut deleted, mut bytes, mut last_due) = (0_i64, 0_u64, None);
    {
        let mut select = db.prepare_cached(
            "SELECT id, sender_dev, number, length(ciphertext), accepted_at FROM queue \
             WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut found = select.query(params![first, last, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        while let Some(row) = found.next()? {
            if row.get::<_, i64>(4)? >= columns::time(before) {
                break;
            }
            last_due = Some(row.get::<_, i64>(0)?);
            senders.entry(row.get(1)?).or_default().push(MessageNumber(columns::bits(row, 2)?));
            bytes = bytes.saturating_add(columns::count(row, 3)?);
            deleted = deleted.saturating_add(1);
        }
    }
    let Some(last_due) = last_due else { return Ok(0) };
    *tx.erased = tx.erased.saturating_add(bytes);
    for (sender, numbers) in senders {
        let sender_address = devices::any_address(db, sender)?;
        if devices::listed_address(db, sender)?.is_some() {
            notices::expired(db, sender, address, &numbers, ExpiryReason::Expired, now)?;
            notified.insert(sender_address);
        }
        let count = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
        notices::missed(db, dev, &sender_address, count, MissedReason::Expired, now)?;
    }
    notified.insert(*address);
    db.prepare_cached("DELETE FROM queue WHERE id BETWEEN ?1 AND ?2")?.execute([first, last_due])?;
    db.prepare_cached(
        "UPDATE devices SET queue_messages = queue_messages - ?2, queue_bytes = queue_bytes - ?3 WHERE dev = ?1",
    )?
    .execute(params![dev, deleted, bytes.cast_signed()])?;
    Ok(deleted.cast_unsigned())
}

/// Forgets notices that were never fetched, sessions that ended, and invites that were never used, each after long
/// enough.
fn forget_residue(db: &Connection, before: UnixMillis, now: UnixMillis) -> Result<(), DbError> {
    for (sql, time) in [
        (
            "DELETE FROM notices WHERE notice_id IN \
             (SELECT notice_id FROM notices WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
            before,
        ),
        (
            "DELETE FROM sessions WHERE session_id IN \
             (SELECT session_id FROM sessions WHERE ended = 1 AND last_used_at < ?1 ORDER BY last_used_at LIMIT ?2)",
            before,
        ),
        (
            "DELETE FROM invites WHERE invite_hash IN \
             (SELECT invite_hash FROM invites WHERE expires_at <= ?1 LIMIT ?2)",
            now,
        ),
    ] {
        db.prepare_cached(sql)?.execute(params![columns::time(time), RESIDUE_MAX])?;
    }
    Ok(())
}
