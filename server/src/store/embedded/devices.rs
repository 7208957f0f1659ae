//! Devices of current lists.

use async_trait::async_trait;
use rusqlite::Row;
use sealpost_api::ids::{KeyEpoch, MessageNumber};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::store::EmbeddedStore;
use super::tables::{columns, prekeys};
use crate::store::devices::{DeviceRecord, DeviceStore};
use crate::store::error::StoreError;

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

/// Reads a device, without its prekeys.
fn record(row: &Row<'_>) -> rusqlite::Result<DeviceRecord> {
    Ok(DeviceRecord {
        address: columns::address(row, 0)?,
        identity: columns::identity(row, 3)?,
        last_seen_at: columns::millis(row.get(4)?),
        key_epoch: KeyEpoch(columns::small(row, 5)?),
        max_issued_id: columns::small(row, 6)?,
        queued_messages: columns::count(row, 7)?,
        queued_bytes: columns::count(row, 8)?,
        highest_number: MessageNumber(columns::bits(row, 9)?),
        one_time_left: 0,
        signed_prekey: None,
    })
}
