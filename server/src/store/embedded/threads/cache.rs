//! Device rows in the writer's memory.
//!
//! A message changes two device rows: the sender's window and the recipient's counters. Within one transaction the same
//! rows change again and again, so they are changed here, and written once before the commit ([`Cache::flush`]).
//! Between transactions the cache equals the table, because only the writer writes: an operation of [`Class::Cached`]
//! uses the cache alone, and one that changes the table itself finds the cache written and leaves it empty. A rollback
//! empties it.
//!
//! [`Class::Cached`]: super::job::Class::Cached

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::device_row::{COLUMNS, Device, UPDATE};
use crate::domain::quotas::Load;
use crate::store::embedded::error::DbError;
use crate::store::embedded::tables::columns;

/// Devices kept between transactions: about 4 MiB.
const DEVICES_MAX: usize = 8 * 1024;

/// Shares kept between transactions.
const SHARES_MAX: usize = 64 * 1024;

/// The writer's cache.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    devices: HashMap<i64, Device>,
    by_address: HashMap<DeviceAddress, i64>,
    lists: HashMap<AccountId, Arc<[i64]>>,
    changed: Vec<i64>,
    /// What the queue of a device holds of a sender account.
    shares: HashMap<(i64, AccountId), Load>,
    /// The accounts of sender devices, for the accounts that have shares here. It is complete for each of them, because
    /// a device joins an account only by an operation that empties the cache.
    senders: HashMap<i64, AccountId>,
}

impl Cache {
    /// Forgets everything, including changes.
    pub(crate) fn clear(&mut self) {
        self.devices.clear();
        self.by_address.clear();
        self.lists.clear();
        self.changed.clear();
        self.shares.clear();
        self.senders.clear();
    }

    /// Writes what has changed. Keeps the rows unless there are too many.
    pub(crate) fn flush(&mut self, db: &Connection) -> Result<(), DbError> {
        if !self.changed.is_empty() {
            let mut update = db.prepare_cached(UPDATE)?;
            for dev in self.changed.drain(..) {
                let Some(device) = self.devices.get_mut(&dev) else { continue };
                device.changed = false;
                device.write(&mut update)?;
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

    /// Returns the row of a device of a current list.
    pub(crate) fn listed(&mut self, db: &Connection, address: &DeviceAddress) -> Result<Option<i64>, DbError> {
        if let Some(dev) = self.by_address.get(address) {
            return Ok(Some(*dev));
        }
        let mut select = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM devices WHERE account_id = ?1 AND device_id = ?2 AND listed = 1 AND registration = ?3"
        ))?;
        let found = select
            .query_row(
                params![address.account.as_bytes(), address.device.get(), address.registration.as_bytes()],
                Device::read,
            )
            .optional()?;
        Ok(found.map(|device| self.keep(device)))
    }

    /// Returns the devices of an account's current list, by device id; `None` if there is no such account.
    pub(crate) fn list(&mut self, db: &Connection, account: AccountId) -> Result<Option<Arc<[i64]>>, DbError> {
        if let Some(list) = self.lists.get(&account) {
            return Ok(Some(Arc::clone(list)));
        }
        let mut select = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM devices WHERE account_id = ?1 AND listed = 1 ORDER BY device_id"
        ))?;
        let devices =
            select.query_map(params![account.as_bytes()], Device::read)?.collect::<rusqlite::Result<Vec<Device>>>()?;
        if devices.is_empty() {
            return Ok(None);
        }
        let list: Arc<[i64]> = devices.into_iter().map(|device| self.keep(device)).collect();
        self.lists.insert(account, Arc::clone(&list));
        Ok(Some(list))
    }

    /// Returns a device that [`listed`](Self::listed) or [`list`](Self::list) named in this operation.
    pub(crate) fn device(&self, dev: i64) -> Result<&Device, DbError> {
        self.devices.get(&dev).ok_or(DbError::Corrupt("a device is not in memory"))
    }

    /// Returns such a device to change it.
    pub(crate) fn device_mut(&mut self, dev: i64) -> Result<&mut Device, DbError> {
        let device = self.devices.get_mut(&dev).ok_or(DbError::Corrupt("a device is not in memory"))?;
        if !device.changed {
            device.changed = true;
            self.changed.push(dev);
        }
        Ok(device)
    }

    /// Returns what a sender account has in a device's queue.
    pub(crate) fn share(&mut self, db: &Connection, dev: i64, account: AccountId) -> Result<Load, DbError> {
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
                count.query_row(params![dev, sender], |row| Ok((columns::count(row, 0)?, columns::count(row, 1)?)))?;
            share.messages = share.messages.saturating_add(messages);
            share.bytes = share.bytes.saturating_add(bytes);
            self.senders.insert(sender, account);
        }
        self.shares.insert((dev, account), share);
        Ok(share)
    }

    /// Counts a row that was queued.
    pub(crate) fn share_grew(&mut self, dev: i64, account: AccountId, bytes: u64) {
        if let Some(share) = self.shares.get_mut(&(dev, account)) {
            share.messages = share.messages.saturating_add(1);
            share.bytes = share.bytes.saturating_add(bytes);
        }
    }

    /// Counts a row that was deleted. A sender that is unknown here has no share here either.
    pub(crate) fn share_shrank(&mut self, dev: i64, sender: i64, bytes: u64) {
        if let Some(account) = self.senders.get(&sender)
            && let Some(share) = self.shares.get_mut(&(dev, *account))
        {
            share.messages = share.messages.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(bytes);
        }
    }

    /// Keeps a device that was read, unless it is here already. Returns its key.
    fn keep(&mut self, device: Device) -> i64 {
        let dev = device.dev;
        // A device that is here may have changed since the table was written.
        if let Entry::Vacant(place) = self.devices.entry(dev) {
            self.by_address.insert(device.address, dev);
            place.insert(device);
        }
        dev
    }
}
