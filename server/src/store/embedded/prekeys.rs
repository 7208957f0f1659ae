//! Prekeys: uploading, and taking bundles.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, OneTimePrekey, SignedPrekey, UnixMillis};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{columns, devices, prekeys};
use super::threads::job::Class;
use super::threads::tx::Tx;
use crate::store::error::StoreError;
use crate::store::prekeys::{PrekeyStore, TakenBundle, UploadPrekeys};

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
            let Some(dev) = devices::listed(db, &address)? else { return Ok(None) };
            let mut select = db.prepare_cached("SELECT key_id FROM one_time_prekeys WHERE dev = ?1 ORDER BY key_id")?;
            let ids = select.query_map([dev], |row| columns::small(row, 0))?;
            Ok(Some(ids.collect::<rusqlite::Result<_>>()?))
        })
        .await
    }

    async fn discard_one_time_prekeys(&self, address: DeviceAddress) -> Result<u32, StoreError> {
        self.write(Class::Direct, move |tx| {
            let Some(dev) = devices::listed(tx.db, &address)? else { return Ok(0) };
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

/// See [`PrekeyStore::upload_prekeys`].
fn upload(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    key_epoch: KeyEpoch,
    one_time: &[OneTimePrekey],
    signed: Option<&SignedPrekey>,
) -> Result<UploadPrekeys, DbError> {
    let db = tx.db;
    let Some(dev) = devices::listed(db, address)? else { return Ok(UploadPrekeys::UnknownDevice) };
    let stored = prekeys::stored(db, dev)?;
    let added = match stored.decide(key_epoch, one_time, signed) {
        Ok(added) if added.is_empty() => return Ok(UploadPrekeys::Stored),
        Ok(added) => added,
        Err(refusal) => return Ok(refusal.into()),
    };
    tx.space.require()?;
    prekeys::store_one_time(db, dev, stored.max_issued, added.one_time.into_iter())?;
    if let Some(signed) = added.signed {
        prekeys::store_signed(db, dev, signed)?;
    }
    Ok(UploadPrekeys::Stored)
}

/// See [`PrekeyStore::take_bundle`].
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
            Ok((row.get::<_, i64>(0)?, columns::address(row, 1)?, columns::millis(row.get(4)?)))
        })
        .optional()?;
    let Some((dev, address, last_seen_at)) = found else { return Ok(None) };
    let signed_prekey = prekeys::signed_prekey(db, dev)?.filter(|signed| signed.expires_at > now);
    // Without a signed prekey the one-time prekey is of no use, and would be burned for nothing.
    let one_time_prekey = if with_one_time && signed_prekey.is_some() { prekeys::take_oldest(db, dev)? } else { None };
    Ok(Some(TakenBundle {
        address,
        signed_prekey,
        one_time_prekey,
        one_time_left: prekeys::one_time_left(db, dev)?,
        dormant: now.since(last_seen_at) >= QUEUE_RETENTION_MILLIS,
    }))
}
