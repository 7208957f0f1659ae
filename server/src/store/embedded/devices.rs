//! Devices of current lists, and how they come and go.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::{KeyEpoch, MessageNumber, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceEntry, UnixMillis};

use super::error::DbError;
use super::{EmbeddedStore, notices, prekeys, rows, sessions};
use crate::domain::window::NumberWindow;
use crate::store::{DeviceRecord, DeviceStore, StoreError};

/// The key epoch of a device that no restore has touched.
const FIRST_KEY_EPOCH: u32 = 1;

#[async_trait]
impl DeviceStore for EmbeddedStore {
    async fn device(&self, address: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError> {
        let found = self.devices(address.account).await?;
        Ok(found.and_then(|devices| devices.into_iter().find(|device| device.address == address)))
    }

    async fn devices(&self, account: AccountId) -> Result<Option<Vec<DeviceRecord>>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT account_id, device_id, registration, identity, last_seen_at, key_epoch, max_issued_id, \
                 queue_messages, queue_bytes, highest_number, dev FROM devices \
                 WHERE account_id = ?1 AND listed = 1 ORDER BY device_id",
            )?;
            let found = select
                .query_map([account.as_bytes()], |row| Ok((record(row)?, row.get::<_, i64>(10)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut devices = Vec::with_capacity(found.len());
            for (mut device, dev) in found {
                device.one_time_left = prekeys::one_time_left(db, dev)?;
                device.signed_prekey = prekeys::signed_prekey(db, dev)?;
                devices.push(device);
            }
            Ok((!devices.is_empty()).then_some(devices))
        })
        .await
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<DeviceRecord> {
    Ok(DeviceRecord {
        address: rows::address(row, 0)?,
        identity: rows::identity(row, 3)?,
        last_seen_at: rows::millis(row.get(4)?),
        key_epoch: KeyEpoch(rows::small(row, 5)?),
        max_issued_id: rows::small(row, 6)?,
        queued_messages: rows::count(row, 7)?,
        queued_bytes: rows::count(row, 8)?,
        highest_number: MessageNumber(rows::bits(row, 9)?),
        one_time_left: 0,
        signed_prekey: None,
    })
}

/// Puts a device into the current list; its internal key. A registration that was in a list before goes on with the
/// numbers and connection epochs it had, so that nothing of its former life is taken twice.
pub(super) fn enlist(
    db: &Connection,
    account: AccountId,
    entry: &DeviceEntry,
    now: UnixMillis,
) -> Result<i64, DbError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO devices (account_id, device_id, registration, identity, listed, last_seen_at, key_epoch, \
         max_issued_id, connection_epoch, queue_messages, queue_bytes, queue_next, highest_number, number_window) \
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, 0, 0, 0, 0, 1, 0, ?7) \
         ON CONFLICT (account_id, device_id, registration) DO UPDATE SET listed = 1, removed_at = NULL, \
         identity = excluded.identity, last_seen_at = excluded.last_seen_at WHERE listed = 0 RETURNING dev",
    )?;
    let dev = insert.query_row(
        params![
            account.as_bytes(),
            entry.device.get(),
            entry.registration.as_bytes(),
            entry.identity.as_bytes(),
            rows::time(now),
            FIRST_KEY_EPOCH,
            NumberWindow::default().to_bitmap()
        ],
        |row| row.get(0),
    )?;
    Ok(dev)
}

/// The devices of an account's current list with their internal keys.
pub(super) fn current(db: &Connection, account: AccountId) -> Result<Vec<(i64, DeviceAddress)>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, account_id, device_id, registration FROM devices WHERE account_id = ?1 AND listed = 1 \
         ORDER BY device_id",
    )?;
    let found = select.query_map([account.as_bytes()], |row| Ok((row.get(0)?, rows::address(row, 1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What went with devices that were removed.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) ended_sessions: Vec<SessionId>,
    pub(super) notified: BTreeSet<DeviceAddress>,
    pub(super) queued_messages: u64,
    pub(super) signed_prekeys: u64,
    pub(super) one_time_prekeys: u64,
}

/// Takes devices out of the list: the senders of what waited are told first, then all that was theirs is deleted. The row
/// itself stays as a tombstone while a queue may name it as a sender.
pub(super) fn remove(
    db: &Connection,
    devices: &[(i64, DeviceAddress)],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    for (dev, _) in devices {
        db.prepare_cached("UPDATE devices SET listed = 0, removed_at = ?2 WHERE dev = ?1")?
            .execute(params![dev, rows::time(now)])?;
    }
    for (dev, address) in devices {
        for (sender, numbers) in waiting(db, *dev)? {
            if let Some(sender_address) = listed_address(db, sender)? {
                notices::expired(db, sender, address, &numbers, reason, now)?;
                removed.notified.insert(sender_address);
            }
        }
        let delete = |sql: &str, key: i64| -> Result<u64, DbError> {
            Ok(u64::try_from(db.prepare_cached(sql)?.execute([key])?).unwrap_or(u64::MAX))
        };
        let (first, last) = rows::queue_range(*dev).ok_or(DbError::Corrupt("a device key out of range"))?;
        let rows = db.prepare_cached("DELETE FROM queue WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
        removed.queued_messages = removed.queued_messages.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        let one_time = delete("DELETE FROM one_time_prekeys WHERE dev = ?1", *dev)?;
        removed.one_time_prekeys = removed.one_time_prekeys.saturating_add(one_time);
        let signed = delete("DELETE FROM signed_prekeys WHERE dev = ?1", *dev)?;
        removed.signed_prekeys = removed.signed_prekeys.saturating_add(signed);
        delete("DELETE FROM notices WHERE dev = ?1", *dev)?;
        delete("UPDATE devices SET queue_messages = 0, queue_bytes = 0 WHERE dev = ?1", *dev)?;
        removed.ended_sessions.extend(sessions::end_on_device(db, address.account, *dev)?);
    }
    Ok(removed)
}

/// The numbers that wait for a device, by sender.
fn waiting(db: &Connection, dev: i64) -> Result<BTreeMap<i64, Vec<MessageNumber>>, DbError> {
    let mut senders: BTreeMap<i64, Vec<MessageNumber>> = BTreeMap::new();
    let mut select =
        db.prepare_cached("SELECT sender_dev, number FROM queue WHERE dev = ?1 ORDER BY sender_dev, number")?;
    let mut found = select.query([dev])?;
    while let Some(row) = found.next()? {
        senders.entry(row.get(0)?).or_default().push(MessageNumber(rows::bits(row, 1)?));
    }
    Ok(senders)
}

/// The address of a device if it is in a current list.
pub(super) fn listed_address(db: &Connection, dev: i64) -> Result<Option<DeviceAddress>, DbError> {
    let mut select =
        db.prepare_cached("SELECT account_id, device_id, registration FROM devices WHERE dev = ?1 AND listed = 1")?;
    Ok(select.query_row([dev], |row| rows::address(row, 0)).optional()?)
}
