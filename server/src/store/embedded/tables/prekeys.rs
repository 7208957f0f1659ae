//! Prekeys.

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::KeyEpoch;
use sealpost_crypto::{OneTimePrekey, SignedPrekey};
use sealpost_sabotage::{Countermeasure, or_planted};

use super::columns;
use crate::domain::uploads::StoredKeys;
use crate::store::embedded::error::DbError;
use crate::store::prekeys::DeviceKeys;

/// Returns how many one-time prekeys a device has left.
pub(crate) fn one_time_left(db: &Connection, dev: i64) -> Result<u32, DbError> {
    let mut count = db.prepare_cached("SELECT count(*) FROM one_time_prekeys WHERE dev = ?1")?;
    Ok(count.query_row([dev], |row| columns::small(row, 0))?)
}

/// Returns a device's signed prekey.
pub(crate) fn signed_prekey(db: &Connection, dev: i64) -> Result<Option<SignedPrekey>, DbError> {
    let mut select =
        db.prepare_cached("SELECT key_id, key, expires_at, signature FROM signed_prekeys WHERE dev = ?1")?;
    Ok(select.query_row([dev], |row| columns::signed_prekey(row, 0)).optional()?)
}

/// Returns everything that a device has stored.
pub(crate) fn stored(db: &Connection, dev: i64) -> Result<StoredKeys, DbError> {
    let (key_epoch, max_issued) = db
        .prepare_cached("SELECT key_epoch, max_issued_id FROM devices WHERE dev = ?1")?
        .query_row([dev], |row| Ok((KeyEpoch(columns::small(row, 0)?), columns::small(row, 1)?)))?;
    let mut select = db.prepare_cached("SELECT key_id, key FROM one_time_prekeys WHERE dev = ?1")?;
    let one_time = select.query_map([dev], |row| Ok((columns::small(row, 0)?, row.get(1)?)))?;
    let one_time = one_time.collect::<rusqlite::Result<_>>()?;
    Ok(StoredKeys { key_epoch, max_issued, one_time, signed: signed_prekey(db, dev)? })
}

/// Stores the first keys of a device that was just added, or returns to the list.
pub(crate) fn begin(db: &Connection, dev: i64, keys: &DeviceKeys) -> Result<(), DbError> {
    let max_issued = max_issued_id(db, dev)?;
    store_one_time(db, dev, max_issued, keys.one_time_prekeys.iter().filter(|key| key.id.0 > max_issued))?;
    store_signed(db, dev, &keys.signed_prekey)
}

/// Returns the highest id of a one-time prekey that the device ever uploaded.
fn max_issued_id(db: &Connection, dev: i64) -> Result<u32, DbError> {
    let mut select = db.prepare_cached("SELECT max_issued_id FROM devices WHERE dev = ?1")?;
    Ok(select.query_row([dev], |row| columns::small(row, 0))?)
}

/// Stores one-time prekeys, and raises the highest id. `max_issued` is the highest so far.
pub(crate) fn store_one_time<'a>(
    db: &Connection,
    dev: i64,
    max_issued: u32,
    new: impl Iterator<Item = &'a OneTimePrekey>,
) -> Result<(), DbError> {
    let mut highest = max_issued;
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO one_time_prekeys (dev, key_id, key) VALUES (?1, ?2, ?3)")?;
    for key in new {
        insert.execute(params![dev, key.id.0, key.key.as_bytes()])?;
        highest = highest.max(key.id.0);
    }
    if highest != max_issued {
        db.prepare_cached("UPDATE devices SET max_issued_id = ?2 WHERE dev = ?1")?.execute(params![dev, highest])?;
    }
    Ok(())
}

/// Stores a device's signed prekey, unless it has a newer one.
pub(crate) fn store_signed(db: &Connection, dev: i64, signed: &SignedPrekey) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO signed_prekeys (dev, key_id, key, expires_at, signature) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (dev) DO UPDATE SET key_id = excluded.key_id, key = excluded.key, \
         expires_at = excluded.expires_at, signature = excluded.signature WHERE excluded.key_id > key_id",
    )?
    .execute(params![
        dev,
        signed.id.0,
        signed.key.as_bytes(),
        signed.expires_at.0.cast_signed(),
        signed.signature.as_bytes()
    ])?;
    Ok(())
}

/// Deletes the oldest one-time prekey and returns it, in one statement.
const TAKE_OLDEST: &str = "DELETE FROM one_time_prekeys WHERE dev = ?1 \
                           AND key_id = (SELECT min(key_id) FROM one_time_prekeys WHERE dev = ?1) RETURNING key_id, key";
/// A planted fault: returns the oldest one-time prekey and leaves it.
const PLANTED_READ_OLDEST: &str = "SELECT key_id, key FROM one_time_prekeys WHERE dev = ?1 ORDER BY key_id LIMIT 1";

/// Takes the oldest one-time prekey. The answer waits for the commit, so that a crash in between at worst burns the
/// key.
pub(crate) fn take_oldest(db: &Connection, dev: i64) -> Result<Option<OneTimePrekey>, DbError> {
    let take = or_planted(Countermeasure::AtomicTake, TAKE_OLDEST, PLANTED_READ_OLDEST);
    Ok(db.prepare_cached(take)?.query_row([dev], |row| columns::one_time_prekey(row, 0)).optional()?)
}
