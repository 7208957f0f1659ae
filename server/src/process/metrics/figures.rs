//! Gauges of the whole store, which are set once in a while.

use prometheus::IntGauge;

use super::make::{Make, set};
use crate::store::{FileSizes, StoreFigures};

/// What is looked at once in a while.
#[derive(Debug)]
pub(super) struct Figures {
    accounts: IntGauge,
    disabled_accounts: IntGauge,
    devices: IntGauge,
    sessions: IntGauge,
    queues: IntGauge,
    queued_messages: IntGauge,
    queued_bytes: IntGauge,
    oldest_seconds: IntGauge,
    one_time_low: IntGauge,
    one_time_none: IntGauge,
    signed_expired: IntGauge,
    at: IntGauge,
    database_bytes: IntGauge,
    log_bytes: IntGauge,
    free_bytes: IntGauge,
}

impl Figures {
    /// Makes the gauges.
    pub(super) fn new(make: &Make) -> Result<Self, prometheus::Error> {
        Ok(Self {
            accounts: make.gauge("sealpost_accounts", "Accounts.")?,
            disabled_accounts: make.gauge("sealpost_accounts_disabled", "Accounts that may not log in.")?,
            devices: make.gauge("sealpost_devices", "Devices of current lists.")?,
            sessions: make.gauge("sealpost_sessions", "Live sessions.")?,
            queues: make.gauge("sealpost_queues", "Devices with messages waiting.")?,
            queued_messages: make.gauge("sealpost_queue_messages", "Messages waiting.")?,
            queued_bytes: make.gauge("sealpost_queue_bytes", "Bytes of the messages waiting.")?,
            oldest_seconds: make.gauge("sealpost_queue_oldest_seconds", "Age of the oldest message waiting.")?,
            one_time_low: make.gauge("sealpost_devices_one_time_low", "Devices with few one-time prekeys.")?,
            one_time_none: make.gauge("sealpost_devices_one_time_none", "Devices without a one-time prekey.")?,
            signed_expired: make
                .gauge("sealpost_devices_signed_prekey_expired", "Devices without a valid signed prekey.")?,
            at: make.gauge("sealpost_store_looked_at_seconds", "When the store was looked at, in s since 1970.")?,
            database_bytes: make.gauge("sealpost_store_database_bytes", "Size of the database file.")?,
            log_bytes: make.gauge("sealpost_store_log_bytes", "Size of the write-ahead log.")?,
            free_bytes: make.gauge("sealpost_store_free_bytes", "Free bytes on the store's file system.")?,
        })
    }

    /// Keeps what a look at the whole store gave, at `now` in ms since 1970.
    pub(super) fn keep(&self, store: &StoreFigures, files: &FileSizes, now: u64) {
        let age = store.oldest_at.map_or(0, |at| now.saturating_sub(at.0) / 1_000);
        for (gauge, value) in [
            (&self.accounts, store.accounts),
            (&self.disabled_accounts, store.disabled_accounts),
            (&self.devices, store.devices),
            (&self.sessions, store.sessions),
            (&self.queues, store.queues),
            (&self.queued_messages, store.queued_messages),
            (&self.queued_bytes, store.queued_bytes),
            (&self.oldest_seconds, age),
            (&self.one_time_low, store.one_time_low),
            (&self.one_time_none, store.one_time_none),
            (&self.signed_expired, store.signed_expired),
            (&self.at, now / 1_000),
            (&self.database_bytes, files.database),
            (&self.log_bytes, files.log),
            (&self.free_bytes, files.free),
        ] {
            set(gauge, value);
        }
    }
}
