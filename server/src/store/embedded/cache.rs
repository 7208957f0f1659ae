//! Device rows in the writer's memory.
//!
//! A message changes two device rows: the sender's window and the recipient's counters. Within one transaction the same
//! rows change over and over, so they are changed here, and written once before the commit ([`Cache::flush`]). Between
//! transactions the cache stays what the table holds, because only the writer writes: an operation of
//! [`Class::Cached`](super::job::Class) goes through the cache alone, and one that changes the table itself finds the
//! cache written and leaves it empty. A rollback empties it.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress};

use super::error::DbError;
use super::rows;
use crate::domain::window::NumberWindow;
use crate::store::places::Load;

/// Devices kept between transactions: about 4 MiB.
const DEVICES_MAX: usize = 8 * 1024;
/// Shares kept between transactions.
const SHARES_MAX: usize = 64 * 1024;

/// The columns of a device row that messages and connections change.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// Internal key.
    pub(super) dev: i64,
    /// Whose row it is.
    pub(super) address: DeviceAddress,
    /// When it was last connected.
    pub(super) last_seen_at: i64,
    /// The current connection.
    pub(super) connection_epoch: u64,
    /// Messages waiting.
    pub(super) queue_messages: u64,
    /// Their bytes.
    pub(super) queue_bytes: u64,
    /// Sequence of the next row.
    pub(super) queue_next: u64,
    /// Numbers accepted from it.
    pub(super) window: NumberWindow,
    changed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cache {
    devices: HashMap<i64, Device>,
    by_address: HashMap<DeviceAddress, i64>,
    lists: HashMap<AccountId, Arc<[i64]>>,
    changed: Vec<i64>,
    /// What the queue of a device holds of an account.
    shares: HashMap<(i64, AccountId), Load>,
    /// The accounts of sender devices, for those accounts that have shares here. Complete for each of them, because a
    /// device joins an account only by an operation that empties the cache.
    senders: HashMap<i64, AccountId>,
}

const COLUMNS: &str = "dev, account_id, device_id, registration, last_seen_at, connection_epoch, queue_messages, \
                       queue_bytes, queue_next, highest_number, number_window";

fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        dev: row.get(0)?,
        address: rows::address(row, 1)?,
        last_seen_at: row.get(4)?,
        connection_epoch: rows::bits(row, 5)?,
        queue_messages: rows::count(row, 6)?,
        queue_bytes: rows::count(row, 7)?,
        queue_next: rows::count(row, 8)?,
        window: NumberWindow::from_parts(MessageNumber(rows::bits(row, 9)?), &row.get(10)?),
        changed: false,
    })
}

impl Cache {
    /// Forgets everything, changes included.
    pub(super) fn clear(&mut self) {
        self.devices.clear();
        self.by_address.clear();
        self.lists.clear();
        self.changed.clear();
        self.shares.clear();
        self.senders.clear();
    }

    /// Writes what has changed. Keeps it, unless there is too much.
    pub(super) fn flush(&mut self, db: &Connection) -> Result<(), DbError> {
        if !self.changed.is_empty() {
            let mut update = db.prepare_cached(
                "UPDATE devices SET last_seen_at = ?2, connection_epoch = ?3, queue_messages = ?4, queue_bytes = ?5, \
                 queue_next = ?6, highest_number = ?7, number_window = ?8 WHERE dev = ?1 AND listed = 1",
            )?;
            for dev in self.changed.drain(..) {
                let Some(device) = self.devices.get_mut(&dev) else { continue };
                device.changed = false;
                let written = update.execute(params![
                    dev,
                    device.last_seen_at,
                    device.connection_epoch.cast_signed(),
                    device.queue_messages.cast_signed(),
                    device.queue_bytes.cast_signed(),
                    device.queue_next.cast_signed(),
                    device.window.highest().0.cast_signed(),
                    device.window.to_bitmap(),
                ])?;
                if written != 1 {
                    return Err(DbError::Corrupt("a device row is gone that the writer knows"));
                }
            }
        }
        if self.devices.len() > DEVICES_MAX {
            self.devices.clear();
            self.by_address.clear();
            self.lists.clear();
        }
        if self.shares.len() > SHARES_MAX {
            self.shares.clear();
            self.senders.clear();
        }
        Ok(())
    }

    /// The device of a current list with this address.
    pub(super) fn listed(&mut self, db: &Connection, address: &DeviceAddress) -> Result<Option<i64>, DbError> {
        if let Some(dev) = self.by_address.get(address) {
            return Ok(Some(*dev));
        }
        let mut select = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM devices WHERE account_id = ?1 AND device_id = ?2 AND listed = 1 AND registration = ?3"
        ))?;
        let found = select
            .query_row(
                params![address.account.as_bytes(), address.device.get(), address.registration.as_bytes()],
                device,
            )
            .optional()?;
        Ok(found.map(|device| self.keep(device)))
    }

    /// The devices of an account's current list by device id; `None` for no account.
    pub(super) fn list(&mut self, db: &Connection, account: AccountId) -> Result<Option<Arc<[i64]>>, DbError> {
        if let Some(list) = self.lists.get(&account) {
            return Ok(Some(Arc::clone(list)));
        }
        let mut select = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM devices WHERE account_id = ?1 AND listed = 1 ORDER BY device_id"
        ))?;
        let devices =
            select.query_map(params![account.as_bytes()], device)?.collect::<rusqlite::Result<Vec<Device>>>()?;
        if devices.is_empty() {
            return Ok(None);
        }
        let list: Arc<[i64]> = devices.into_iter().map(|device| self.keep(device)).collect();
        self.lists.insert(account, Arc::clone(&list));
        Ok(Some(list))
    }

    /// A device that [`listed`](Self::listed) or [`list`](Self::list) named in this operation.
    pub(super) fn device(&self, dev: i64) -> Result<&Device, DbError> {
        self.devices.get(&dev).ok_or(DbError::Corrupt("a device is not in memory"))
    }

    /// The same, to change it.
    pub(super) fn device_mut(&mut self, dev: i64) -> Result<&mut Device, DbError> {
        let device = self.devices.get_mut(&dev).ok_or(DbError::Corrupt("a device is not in memory"))?;
        if !device.changed {
            device.changed = true;
            self.changed.push(dev);
        }
        Ok(device)
    }

    /// What this account has in this device's queue.
    pub(super) fn share(&mut self, db: &Connection, dev: i64, account: AccountId) -> Result<Load, DbError> {
        if let Some(share) = self.shares.get(&(dev, account)) {
            return Ok(*share);
        }
        let mut select = db.prepare_cached("SELECT dev FROM devices WHERE account_id = ?1")?;
        let senders =
            select.query_map(params![account.as_bytes()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut count = db.prepare_cached(
            "SELECT count(*), coalesce(sum(length(ciphertext)), 0) FROM queue WHERE dev = ?1 AND sender_dev = ?2",
        )?;
        let mut share = Load::default();
        for sender in senders {
            let (messages, bytes) =
                count.query_row(params![dev, sender], |row| Ok((rows::count(row, 0)?, rows::count(row, 1)?)))?;
            share.messages = share.messages.saturating_add(messages);
            share.bytes = share.bytes.saturating_add(bytes);
            self.senders.insert(sender, account);
        }
        self.shares.insert((dev, account), share);
        Ok(share)
    }

    /// Counts a row that was queued.
    pub(super) fn share_grew(&mut self, dev: i64, account: AccountId, bytes: u64) {
        if let Some(share) = self.shares.get_mut(&(dev, account)) {
            share.messages = share.messages.saturating_add(1);
            share.bytes = share.bytes.saturating_add(bytes);
        }
    }

    /// Counts a row that was deleted. A sender that is not known here has no share here either.
    pub(super) fn share_shrank(&mut self, dev: i64, sender: i64, bytes: u64) {
        if let Some(account) = self.senders.get(&sender)
            && let Some(share) = self.shares.get_mut(&(dev, *account))
        {
            share.messages = share.messages.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(bytes);
        }
    }

    fn keep(&mut self, device: Device) -> i64 {
        let dev = device.dev;
        // What is here already may have changed since it was read.
        if let std::collections::hash_map::Entry::Vacant(place) = self.devices.entry(dev) {
            self.by_address.insert(device.address, dev);
            place.insert(device);
        }
        dev
    }
}
