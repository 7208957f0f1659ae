//! The columns of a device row that the cache holds.

use rusqlite::{CachedStatement, Row, params};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::DeviceAddress;

use crate::domain::window::NumberWindow;
use crate::store::embedded::error::DbError;
use crate::store::embedded::tables::columns;

/// The columns of a device row that messages and connections change.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// The row's key.
    pub(crate) dev: i64,
    /// The device.
    pub(crate) address: DeviceAddress,
    /// When it was last connected.
    pub(crate) last_seen_at: i64,
    /// The epoch of the current connection.
    pub(crate) connection_epoch: u64,
    /// Messages that wait.
    pub(crate) queue_messages: u64,
    /// Their bytes.
    pub(crate) queue_bytes: u64,
    /// Sequence of the next queue row.
    pub(crate) queue_next: u64,
    /// The message numbers that were accepted from it.
    pub(crate) window: NumberWindow,
    /// Whether the table does not hold these values yet.
    pub(crate) changed: bool,
}

/// The columns, in the order of [`Device::read`].
pub(crate) const COLUMNS: &str = "dev, account_id, device_id, registration, last_seen_at, connection_epoch, queue_messages, \
                       queue_bytes, queue_next, highest_number, number_window";

/// Writes the columns of one row, in the order of [`Device::write`].
pub(crate) const UPDATE: &str = "UPDATE devices SET last_seen_at = ?2, connection_epoch = ?3, queue_messages = ?4, \
                                 queue_bytes = ?5, queue_next = ?6, highest_number = ?7, number_window = ?8 \
                                 WHERE dev = ?1 AND listed = 1";

impl Device {
    /// Reads a row of [`COLUMNS`].
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            dev: row.get(0)?,
            address: columns::address(row, 1)?,
            last_seen_at: row.get(4)?,
            connection_epoch: columns::bits(row, 5)?,
            queue_messages: columns::count(row, 6)?,
            queue_bytes: columns::count(row, 7)?,
            queue_next: columns::count(row, 8)?,
            window: NumberWindow::from_parts(MessageNumber(columns::bits(row, 9)?), &row.get(10)?),
            changed: false,
        })
    }

    /// Writes the row by [`UPDATE`].
    pub(crate) fn write(&self, update: &mut CachedStatement<'_>) -> Result<(), DbError> {
        let written = update.execute(params![
            self.dev,
            self.last_seen_at,
            self.connection_epoch.cast_signed(),
            self.queue_messages.cast_signed(),
            self.queue_bytes.cast_signed(),
            self.queue_next.cast_signed(),
            self.window.highest().0.cast_signed(),
            self.window.to_bitmap(),
        ])?;
        match written {
            1 => Ok(()),
            _ => Err(DbError::Corrupt("a device row is gone that the writer knows")),
        }
    }
}
