//! Prekeys: uploads, counts, and the take that gives each one-time prekey once.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, OneTimePrekey, SignedPrekey, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::error::DbError;
use super::job::Class;
use super::writer::Tx;
use super::{EmbeddedStore, queue, rows};
use crate::store::uploads::StoredKeys;
use crate::store::{DeviceKeys, PrekeyStore, StoreError, TakenBundle, UploadPrekeys};

#[async_trait]
impl PrekeyStore for EmbeddedStore {
    async fn upload_prekeys(
        &self,
        address: DeviceAddress,
        key_epoch: KeyEpoch,
        one_time: Vec<OneTimePrekey>,
        signed: Option<SignedPrekey>,
    ) -> Result<UploadPrekeys, StoreError> {
        self.write(Class::Direct, move |tx| upload(tx, &address, key_epoch, &one_time, signed.as_ref())).await
    }

    async fn one_time_prekey_ids(&self, address: DeviceAddress) -> Result<Option<Vec<u32>>, StoreError> {
        self.read(move |db| {
            let Some(dev) = queue::listed(db, &address)? else { return Ok(None) };
            let mut select = db.prepare_cached("SELECT key_id FROM one_time_prekeys WHERE dev = ?1 ORDER BY key_id")?;
            let ids = select.query_map([dev], |row| rows::small(row, 0))?;
            Ok(Some(ids.collect::<rusqlite::Result<_>>()?))
        })
        .await
    }

    async fn discard_one_time_prekeys(&self, address: DeviceAddress) -> Result<u32, StoreError> {
        self.write(Class::Direct, move |tx| {
            let Some(dev) = queue::listed(tx.db, &address)? else { return Ok(0) };
            let discarded = tx.db.prepare_cached("DELETE FROM one_time_prekeys WHERE dev = ?1")?.execute([dev])?;
            Ok(u32::try_from(discarded).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn take_bundle(
        &self,
        account: AccountId,
        device: DeviceId,
        with_one_time: bool,
        now: UnixMillis,
    ) -> Result<Option<TakenBundle>, StoreError> {
        if with_one_time {
            self.write(Class::Direct, move |tx| take_bundle(tx.db, account, device, true, now)).await
        } else {
            self.read(move |db| take_bundle(db, account, device, false, now)).await
        }
    }
}

/// How many one-time prekeys a device has left.
pub(super) fn one_time_left(db: &Connection, dev: i64) -> Result<u32, DbError> {
    let mut count = db.prepare_cached("SELECT count(*) FROM one_time_prekeys WHERE dev = ?1")?;
    Ok(count.query_row([dev], |row| rows::small(row, 0))?)
}

/// Stores the first keys of a device that was just made, or was in a list before.
pub(super) fn begin(db: &Connection, dev: i64, keys: &DeviceKeys) -> Result<(), DbError> {
    let max_issued = max_issued_id(db, dev)?;
    store_one_time(db, dev, max_issued, keys.one_time_prekeys.iter().filter(|key| key.id.0 > max_issued))?;
    store_signed(db, dev, &keys.signed_prekey)
}

fn max_issued_id(db: &Connection, dev: i64) -> Result<u32, DbError> {
    let mut select = db.prepare_cached("SELECT max_issued_id FROM devices WHERE dev = ?1")?;
    Ok(select.query_row([dev], |row| rows::small(row, 0))?)
}

fn store_one_time<'a>(
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
pub(super) fn store_signed(db: &Connection, dev: i64, signed: &SignedPrekey) -> Result<(), DbError> {
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

/// The signed prekey that a device has.
pub(super) fn signed_prekey(db: &Connection, dev: i64) -> Result<Option<SignedPrekey>, DbError> {
    let mut select =
        db.prepare_cached("SELECT key_id, key, expires_at, signature FROM signed_prekeys WHERE dev = ?1")?;
    Ok(select.query_row([dev], |row| rows::signed_prekey(row, 0)).optional()?)
}

fn upload(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    key_epoch: KeyEpoch,
    one_time: &[OneTimePrekey],
    signed: Option<&SignedPrekey>,
) -> Result<UploadPrekeys, DbError> {
    let db = tx.db;
    let Some(dev) = queue::listed(db, address)? else { return Ok(UploadPrekeys::UnknownDevice) };
    let stored = stored(db, dev)?;
    let added = match stored.decide(key_epoch, one_time, signed) {
        Ok(added) if added.is_empty() => return Ok(UploadPrekeys::Stored),
        Ok(added) => added,
        Err(answer) => return Ok(answer),
    };
    tx.space.require()?;
    store_one_time(db, dev, stored.max_issued, added.one_time.into_iter())?;
    if let Some(signed) = added.signed {
        store_signed(db, dev, signed)?;
    }
    Ok(UploadPrekeys::Stored)
}

fn stored(db: &Connection, dev: i64) -> Result<StoredKeys, DbError> {
    let (key_epoch, max_issued) = db
        .prepare_cached("SELECT key_epoch, max_issued_id FROM devices WHERE dev = ?1")?
        .query_row([dev], |row| Ok((KeyEpoch(rows::small(row, 0)?), rows::small(row, 1)?)))?;
    let mut select = db.prepare_cached("SELECT key_id, key FROM one_time_prekeys WHERE dev = ?1")?;
    let one_time = select.query_map([dev], |row| Ok((rows::small(row, 0)?, row.get(1)?)))?;
    let one_time = one_time.collect::<rusqlite::Result<_>>()?;
    Ok(StoredKeys { key_epoch, max_issued, one_time, signed: signed_prekey(db, dev)? })
}

fn take_bundle(
    db: &Connection,
    account: AccountId,
    device: DeviceId,
    with_one_time: bool,
    now: UnixMillis,
) -> Result<Option<TakenBundle>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, account_id, device_id, registration, last_seen_at FROM devices \
         WHERE account_id = ?1 AND device_id = ?2 AND listed = 1",
    )?;
    let found = select
        .query_row(params![account.as_bytes(), device.get()], |row| {
            Ok((row.get::<_, i64>(0)?, rows::address(row, 1)?, rows::millis(row.get(4)?)))
        })
        .optional()?;
    let Some((dev, address, last_seen_at)) = found else { return Ok(None) };
    let signed_prekey = signed_prekey(db, dev)?.filter(|signed| signed.expires_at > now);
    // Without a signed prekey nobody can use the one-time prekey: it would be burned for nothing.
    let one_time_prekey = if with_one_time && signed_prekey.is_some() { take_oldest(db, dev)? } else { None };
    Ok(Some(TakenBundle {
        address,
        signed_prekey,
        one_time_prekey,
        one_time_left: one_time_left(db, dev)?,
        dormant: now.since(last_seen_at) >= QUEUE_RETENTION_MILLIS,
    }))
}

/// One delete that returns what it deleted. It is answered after the commit, so a crash between burns the key at worst.
fn take_oldest(db: &Connection, dev: i64) -> Result<Option<OneTimePrekey>, DbError> {
    let take = match without(Countermeasure::AtomicTake) {
        false => {
            "DELETE FROM one_time_prekeys WHERE dev = ?1 \
             AND key_id = (SELECT min(key_id) FROM one_time_prekeys WHERE dev = ?1) RETURNING key_id, key"
        }
        true => "SELECT key_id, key FROM one_time_prekeys WHERE dev = ?1 ORDER BY key_id LIMIT 1",
    };
    Ok(db.prepare_cached(take)?.query_row([dev], |row| rows::one_time_prekey(row, 0)).optional()?)
}
