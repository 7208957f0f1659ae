//! Devices: the list is in the account; what changes often is in a document of its own.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress};

use super::db::Db;
use super::documents::accounts::Device;
use super::documents::devices::Hot;
use super::documents::prekeys::{Prekeys, Signed};
use super::error::DbError;
use super::store::MongoStore;
use super::values;
use crate::domain::key_epochs::FIRST_KEY_EPOCH;
use crate::store::devices::{DeviceRecord, DeviceStore};
use crate::store::error::StoreError;

#[async_trait]
impl DeviceStore for MongoStore {
    async fn device(&self, address: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError> {
        let found = self.devices(address.account).await?;
        Ok(found.and_then(|devices| devices.into_iter().find(|device| device.address == address)))
    }

    async fn devices(&self, account: AccountId) -> Result<Option<Vec<DeviceRecord>>, StoreError> {
        Ok(devices(&self.db, account).await?)
    }
}

/// See [`DeviceStore::devices`].
async fn devices(db: &Db, id: AccountId) -> Result<Option<Vec<DeviceRecord>>, DbError> {
    let Some(account) = db.account(id).await? else { return Ok(None) };
    let keys = async {
        let found = db.prekeys.find(doc! { "account": &account.id }).await?;
        Ok::<Vec<Prekeys>, DbError>(found.try_collect().await?)
    };
    let (hot, keys) = tokio::try_join!(db.all_hot([id]), keys)?;
    let mut records = Vec::with_capacity(account.devices.len());
    for device in &account.devices {
        let address = values::join(id, device.id, &device.registration)?;
        let keys = keys.iter().find(|keys| keys.id == values::address(&address));
        records.push(record(address, device, hot.get(&address), keys)?);
    }
    records.sort_by_key(|record| record.address.device);
    Ok(Some(records))
}

/// Returns what the services know of a device.
fn record(
    address: DeviceAddress,
    device: &Device,
    hot: Option<&Hot>,
    keys: Option<&Prekeys>,
) -> Result<DeviceRecord, DbError> {
    let hot = hot.cloned().unwrap_or_else(|| Hot::new(&address, device.since));
    let signed = keys.and_then(|keys| keys.signed.as_ref());
    Ok(DeviceRecord {
        address,
        identity: device.identity_key()?,
        last_seen_at: values::millis(hot.last_seen_at.max(device.since)),
        key_epoch: keys.map_or(FIRST_KEY_EPOCH, Prekeys::key_epoch),
        one_time_left: keys.map_or(0, Prekeys::one_time_left),
        max_issued_id: keys.map_or(Ok(0), |keys| values::small(keys.max_issued))?,
        signed_prekey: signed.map(Signed::value).transpose()?,
        queued_messages: values::count(hot.messages),
        queued_bytes: values::count(hot.bytes),
        highest_number: MessageNumber(hot.highest.cast_unsigned()),
    })
}
