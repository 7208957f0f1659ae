//! Notices: what a device is told besides its messages. They are stored beside the queue and do not count for its
//! quotas.
//!
//! They are merged per pair of devices, kind and reason until one is read. Once read for delivery a notice is *sealed*:
//! what comes later begins a new one, so that the ack of what was read deletes exactly that.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::{columns, row_ids};
use crate::store::embedded::error::DbError;
use crate::store::queue::QueueItem;
use crate::store::reasons::{self, EXPIRED, MISSED, NUMBERS_MAX};

/// Records for `dev` that `count` more messages of `from` are not kept for it.
pub(crate) fn missed(
    db: &Connection,
    dev: i64,
    from: &DeviceAddress,
    count: u64,
    reason: MissedReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO notices (dev, kind, reason, peer, count, numbers, created_at, sealed) \
         VALUES (?1, 2, ?2, ?3, ?4, x'', ?5, 0) \
         ON CONFLICT (dev, kind, reason, peer) WHERE sealed = 0 \
         DO UPDATE SET count = count + excluded.count, created_at = excluded.created_at",
    )?
    .execute(params![
        dev,
        reasons::missed_code(reason),
        from.to_bytes(),
        count.cast_signed(),
        columns::time(now)
    ])?;
    Ok(())
}

/// Records for `dev` that its messages with these numbers will not reach `to`.
pub(crate) fn expired(
    db: &Connection,
    dev: i64,
    to: &DeviceAddress,
    numbers: &[MessageNumber],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    let (reason, peer) = (reasons::expiry_code(reason), to.to_bytes());
    let open: Option<(i64, usize)> = db
        .prepare_cached(
            "SELECT notice_id, count FROM notices WHERE dev = ?1 AND kind = 1 AND reason = ?2 AND peer = ?3 \
             AND sealed = 0",
        )?
        .query_row(params![dev, reason, peer], |row| {
            Ok((row.get(0)?, usize::try_from(columns::count(row, 1)?).unwrap_or(usize::MAX)))
        })
        .optional()?;
    let mut rest = numbers;
    if let Some((notice, count)) = open {
        let (more, beyond) = rest.split_at(NUMBERS_MAX.saturating_sub(count).min(rest.len()));
        rest = beyond;
        db.prepare_cached(
            "UPDATE notices SET numbers = CAST(numbers || ?2 AS BLOB), count = count + ?3, created_at = ?4, \
             sealed = ?5 WHERE notice_id = ?1",
        )?
        .execute(params![notice, packed(more), length(more), columns::time(now), !beyond.is_empty()])?;
    }
    let mut chunks = rest.chunks(NUMBERS_MAX).peekable();
    while let Some(chunk) = chunks.next() {
        db.prepare_cached(
            "INSERT INTO notices (dev, kind, reason, peer, count, numbers, created_at, sealed) \
             VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            dev,
            reason,
            peer,
            length(chunk),
            packed(chunk),
            columns::time(now),
            chunks.peek().is_some()
        ])?;
    }
    Ok(())
}

/// Returns numbers as they are stored: big-endian, one after the other.
fn packed(numbers: &[MessageNumber]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.0.to_be_bytes()).collect()
}

fn length(numbers: &[MessageNumber]) -> i64 {
    i64::try_from(numbers.len()).unwrap_or(i64::MAX)
}

/// Seals what waits for this device, so that it can be read for delivery.
pub(crate) fn seal(db: &Connection, dev: i64) -> Result<(), DbError> {
    db.prepare_cached("UPDATE notices SET sealed = 1 WHERE dev = ?1 AND sealed = 0")?.execute([dev])?;
    Ok(())
}

/// Returns how many notices wait for this device, sealed or not.
pub(crate) fn waiting(db: &Connection, dev: i64) -> Result<u64, DbError> {
    let mut count = db.prepare_cached("SELECT count(*) FROM notices WHERE dev = ?1")?;
    Ok(count.query_row([dev], |row| columns::count(row, 0))?)
}

/// Returns whether a notice waits that has to be sealed before it is read.
pub(crate) fn any_open(db: &Connection, dev: i64) -> Result<bool, DbError> {
    let mut any = db.prepare_cached("SELECT 1 FROM notices WHERE dev = ?1 AND sealed = 0 LIMIT 1")?;
    Ok(any.exists([dev])?)
}

/// Gives the sealed notices to `more`, oldest first, until it returns `false`.
pub(crate) fn read(db: &Connection, dev: i64, mut more: impl FnMut(QueueItem) -> bool) -> Result<(), DbError> {
    let mut select = db.prepare_cached(
        "SELECT notice_id, kind, reason, peer, count, numbers FROM notices WHERE dev = ?1 AND sealed = 1 \
         ORDER BY notice_id",
    )?;
    let mut found = select.query([dev])?;
    while let Some(row) = found.next()? {
        let id = row_ids::notice_row(row.get(0)?);
        let peer = columns::packed_address(row, 3)?;
        let unknown = DbError::Corrupt("a notice with an unknown reason");
        let item = match (row.get(1)?, row.get(2)?) {
            (EXPIRED, code) => {
                let reason = reasons::expiry(code).ok_or(unknown)?;
                QueueItem::Expired { id, to: peer, numbers: numbers(row)?, reason }
            }
            (MISSED, code) => {
                let reason = reasons::missed(code).ok_or(unknown)?;
                QueueItem::Missed { id, from: peer, count: columns::count(row, 4)?, reason }
            }
            _ => return Err(DbError::Corrupt("a notice of an unknown kind")),
        };
        if !more(item) {
            break;
        }
    }
    Ok(())
}

/// Reads the packed numbers in column 5.
fn numbers(row: &Row<'_>) -> Result<Vec<MessageNumber>, DbError> {
    let packed: Vec<u8> = row.get(5)?;
    let (numbers, rest) = packed.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DbError::Corrupt("a notice with half a number"));
    }
    Ok(numbers.iter().map(|number| MessageNumber(u64::from_be_bytes(*number))).collect())
}
