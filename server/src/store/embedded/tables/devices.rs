//! Devices, and how they enter and leave current lists.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::{MessageNumber, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceEntry, UnixMillis};

use super::{columns, notices, row_ids, sessions};
use crate::domain::key_epochs::FIRST_KEY_EPOCH;
use crate::domain::window::NumberWindow;
use crate::store::embedded::error::DbError;

/// The columns that name a device.
pub(crate) fn key(address: &DeviceAddress) -> (&[u8; 16], u8, &[u8; 32]) {
    (address.account.as_bytes(), address.device.get(), address.registration.as_bytes())
}

/// Returns the key of a device of a current list.
pub(crate) fn listed(db: &Connection, address: &DeviceAddress) -> Result<Option<i64>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev FROM devices WHERE account_id = ?1 AND device_id = ?2 AND registration = ?3 AND listed = 1",
    )?;
    Ok(select.query_row(key(address), |row| row.get(0)).optional()?)
}

/// Returns the address of a device if it is in a current list.
pub(crate) fn listed_address(db: &Connection, dev: i64) -> Result<Option<DeviceAddress>, DbError> {
    let mut select =
        db.prepare_cached("SELECT account_id, device_id, registration FROM devices WHERE dev = ?1 AND listed = 1")?;
    Ok(select.query_row([dev], |row| columns::address(row, 0)).optional()?)
}

/// Returns the address of a device, whether it is in a current list or not.
pub(crate) fn any_address(db: &Connection, dev: i64) -> Result<DeviceAddress, DbError> {
    let mut select = db.prepare_cached("SELECT account_id, device_id, registration FROM devices WHERE dev = ?1")?;
    Ok(select.query_row([dev], |row| columns::address(row, 0))?)
}

/// Returns the devices of an account's current list, with their keys.
pub(crate) fn current(db: &Connection, account: AccountId) -> Result<Vec<(i64, DeviceAddress)>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, account_id, device_id, registration FROM devices WHERE account_id = ?1 AND listed = 1 \
         ORDER BY device_id",
    )?;
    let found = select.query_map([account.as_bytes()], |row| Ok((row.get(0)?, columns::address(row, 1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Puts a device into the current list. Returns its key. A registration that was in a list before continues with the
/// message numbers and connection epochs that it had, so that nothing from before is accepted twice.
pub(crate) fn enlist(
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
            columns::time(now),
            FIRST_KEY_EPOCH.0,
            NumberWindow::default().to_bitmap()
        ],
        |row| row.get(0),
    )?;
    Ok(dev)
}

/// What went with devices that were removed.
#[derive(Default)]
pub(crate) struct Removed {
    pub(crate) ended_sessions: Vec<SessionId>,
    pub(crate) notified: BTreeSet<DeviceAddress>,
    pub(crate) queued_messages: u64,
    pub(crate) signed_prekeys: u64,
    pub(crate) one_time_prekeys: u64,
}

/// Takes devices out of the list. The senders of what waited are told first; then everything of the devices is deleted.
/// The row itself stays as a tombstone while a queue may name it as a sender.
pub(crate) fn remove(
    db: &Connection,
    devices: &[(i64, DeviceAddress)],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    for (dev, _) in devices {
        db.prepare_cached("UPDATE devices SET listed = 0, removed_at = ?2 WHERE dev = ?1")?
            .execute(params![dev, columns::time(now)])?;
    }
    for (dev, address) in devices {
        for (sender, numbers) in waiting(db, *dev)? {
            if let Some(sender_address) = listed_address(db, sender)? {
                notices::expired(db, sender, address, &numbers, reason, now)?;
                removed.notified.insert(sender_address);
            }
        }
        let delete = |sql: &str, key: i64| -> Result<u64, DbError> {
            Ok(columns::changed(db.prepare_cached(sql)?.execute([key])?))
        };
        let (first, last) = row_ids::queue_range(*dev)?;
        let rows = db.prepare_cached("DELETE FROM queue WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
        removed.queued_messages = removed.queued_messages.saturating_add(columns::changed(rows));
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

/// Returns the numbers of the messages that wait for a device, by sender.
fn waiting(db: &Connection, dev: i64) -> Result<BTreeMap<i64, Vec<MessageNumber>>, DbError> {
    let mut senders: BTreeMap<i64, Vec<MessageNumber>> = BTreeMap::new();
    let mut select =
        db.prepare_cached("SELECT sender_dev, number FROM queue WHERE dev = ?1 ORDER BY sender_dev, number")?;
    let mut found = select.query([dev])?;
    while let Some(row) = found.next()? {
        senders.entry(row.get(0)?).or_default().push(MessageNumber(columns::bits(row, 1)?));
    }
    Ok(senders)
}
