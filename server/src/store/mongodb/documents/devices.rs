//! The state of devices that changes with every message.

use mongodb::bson::{Binary, Document, doc};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::DeviceAddress;
use serde::{Deserialize, Serialize};

use crate::domain::window::NumberWindow;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// What changes with every message and connection of a device: the state of its sending, and the counters of its queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hot {
    #[serde(rename = "_id")]
    pub(crate) id: Binary,
    pub(crate) account: Binary,
    pub(crate) last_seen_at: i64,
    /// The epoch of the current connection.
    pub(crate) epoch: i64,
    /// Highest number that was accepted from it.
    pub(crate) highest: i64,
    pub(crate) window: Binary,
    /// Rises with every change of the window.
    pub(crate) window_rev: i64,
    /// The sequence that was last given to a row of its queue.
    pub(crate) next: i64,
    /// Rows in its queue, including those that are about to be written.
    pub(crate) messages: i64,
    /// Their bytes.
    pub(crate) bytes: i64,
    /// When room for a row was last reserved.
    pub(crate) reserved_at: i64,
    /// When the rows were last counted.
    pub(crate) counted_at: i64,
    /// Since when the counters may be too high; 0 if there is no reason to think so.
    pub(crate) recount_at: i64,
}

impl Hot {
    /// The document of a device that has not sent or received anything.
    pub(crate) fn new(address: &DeviceAddress, since: i64) -> Self {
        let window = NumberWindow::default();
        Self {
            id: values::address(address),
            account: values::account(address.account),
            last_seen_at: since,
            epoch: 0,
            highest: 0,
            window: values::binary(&window.to_bitmap()),
            window_rev: 0,
            next: 0,
            messages: 0,
            bytes: 0,
            reserved_at: 0,
            counted_at: 0,
            recount_at: 0,
        }
    }

    /// Returns the window of its message numbers.
    pub(crate) fn window(&self) -> Result<NumberWindow, DbError> {
        Ok(NumberWindow::from_parts(MessageNumber(self.highest.cast_unsigned()), &values::fixed(&self.window)?))
    }
}

/// Returns a filter for one device's document, with the shard key.
pub(crate) fn of_device(address: &DeviceAddress) -> Document {
    doc! { "_id": values::address(address), "account": values::account(address.account) }
}

/// Returns a filter for everything in one device's queue.
pub(crate) fn in_queue(address: &DeviceAddress) -> Document {
    doc! { "account": values::account(address.account), "to": values::device(address) }
}
