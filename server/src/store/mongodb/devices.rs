//! Devices of current lists: the list is in the account, what changes often in a document of its own.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{RawDocumentBuf, deserialize_from_slice, doc};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey};

use super::documents::{Device, Hot, Prekeys, Signed, of_device};
use super::error::DbError;
use super::{Db, MongoStore, prekeys, values};
use crate::store::{DeviceRecord, DeviceStore, StoreError};

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

impl Db {
    /// Whether a device is in its account's current list.
    pub(super) async fn is_listed(&self, address: &DeviceAddress) -> Result<bool, DbError> {
        match self.account(address.account).await? {
            Some(account) => Ok(account.addresses()?.contains(address)),
            None => Ok(false),
        }
    }

    /// What changes often of a device; `None` when nothing has changed yet.
    pub(super) async fn hot(&self, address: &DeviceAddress) -> Result<Option<Hot>, DbError> {
        Ok(self.devices.find_one(of_device(address)).await?)
    }

    /// The same for all devices of some accounts, also for those that are in no list any more.
    pub(super) async fn all_hot(
        &self,
        accounts: impl IntoIterator<Item = AccountId>,
    ) -> Result<BTreeMap<DeviceAddress, Hot>, DbError> {
        let accounts: Vec<_> = accounts.into_iter().map(values::account).collect();
        let found: Vec<Hot> = self.devices.find(doc! { "account": { "$in": accounts } }).await?.try_collect().await?;
        found.into_iter().map(|hot| Ok((values::to_address(&hot.id)?, hot))).collect()
    }
}

impl Db {
    /// The same, without those that cannot be read: the addresses of these.
    pub(super) async fn sound_hot(
        &self,
        accounts: impl IntoIterator<Item = AccountId>,
    ) -> Result<(BTreeMap<DeviceAddress, Hot>, BTreeSet<DeviceAddress>), DbError> {
        let accounts: Vec<_> = accounts.into_iter().map(values::account).collect();
        let devices = self.devices.clone_with_type::<RawDocumentBuf>();
        let mut found = devices.find(doc! { "account": { "$in": accounts } }).await?;
        let (mut sound, mut corrupt) = (BTreeMap::new(), BTreeSet::new());
        while let Some(raw) = found.try_next().await? {
            let address = values::to_address(&values::raw_id(&raw)?)?;
            match deserialize_from_slice::<Hot>(raw.as_bytes()) {
                Ok(hot) => drop(sound.insert(address, hot)),
                Err(_) => drop(corrupt.insert(address)),
            }
        }
        Ok((sound, corrupt))
    }
}

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
        identity: DeviceIdentityKey::from_bytes(&values::fixed(&device.identity)?)
            .map_err(|_| DbError::Corrupt("an identity key that cannot be"))?,
        last_seen_at: values::millis(hot.last_seen_at.max(device.since)),
        key_epoch: keys.map_or(sealpost_api::ids::KeyEpoch(1), prekeys::key_epoch),
        one_time_left: keys.map_or(0, |keys| u32::try_from(keys.one_time.len()).unwrap_or(u32::MAX)),
        max_issued_id: keys.map_or(Ok(0), |keys| values::small(keys.max_issued))?,
        signed_prekey: signed.map(Signed::value).transpose()?,
        queued_messages: values::count(hot.messages),
        queued_bytes: values::count(hot.bytes),
        highest_number: MessageNumber(hot.highest.cast_unsigned()),
    })
}
