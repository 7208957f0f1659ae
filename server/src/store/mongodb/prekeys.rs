//! Prekeys: one document per device, so that an upload and a take are one step each.
//!
//! A take moves the oldest key into `taken` and is answered with the document as it is then, so that concurrent takes
//! never return the same key. An upload is conditional on `max_issued`, so that of two repetitions only one adds keys.

use async_trait::async_trait;
use mongodb::bson::doc;
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, OneTimePrekey, SignedPrekey, UnixMillis};

use super::collections::prekeys;
use super::db::{Db, TRIES, pause};
use super::documents::devices::of_device;
use super::documents::prekeys::{OneTime, Prekeys, Signed};
use super::error::{DbError, is_duplicate};
use super::store::MongoStore;
use super::values;
use crate::store::error::StoreError;
use crate::store::prekeys::{PrekeyStore, TakenBundle, UploadPrekeys};

#[async_trait]
impl PrekeyStore for MongoStore {
    async fn upload_prekeys(
        &self,
        address: DeviceAddress,
        key_epoch: KeyEpoch,
        one_time: Vec<OneTimePrekey>,
        signed: Option<SignedPrekey>,
    ) -> Result<UploadPrekeys, StoreError> {
        Ok(upload(&self.db, &address, key_epoch, &one_time, signed.as_ref()).await?)
    }

    async fn one_time_prekey_ids(&self, address: DeviceAddress) -> Result<Option<Vec<u32>>, StoreError> {
        if !self.db.is_listed(&address).await? {
            return Ok(None);
        }
        let keys = prekeys::of(&self.db, &address).await?;
        let ids: Result<Vec<u32>, DbError> = keys.one_time.iter().map(|key| values::small(key.id)).collect();
        Ok(Some(ids?))
    }

    async fn discard_one_time_prekeys(&self, address: DeviceAddress) -> Result<u32, StoreError> {
        Ok(discard(&self.db, &address).await?)
    }

    async fn take_bundle(
        &self,
        account: AccountId,
        device: DeviceId,
        with_one_time: bool,
        now: UnixMillis,
    ) -> Result<Option<TakenBundle>, StoreError> {
        Ok(take_bundle(&self.db, account, device, with_one_time, now).await?)
    }
}

/// See [`PrekeyStore::upload_prekeys`].
async fn upload(
    db: &Db,
    address: &DeviceAddress,
    epoch: KeyEpoch,
    one_time: &[OneTimePrekey],
    signed: Option<&SignedPrekey>,
) -> Result<UploadPrekeys, DbError> {
    if !db.is_listed(address).await? {
        return Ok(UploadPrekeys::UnknownDevice);
    }
    for tried in 1..=TRIES {
        let Some(stored) = db.prekeys.find_one(of_device(address)).await? else {
            match db.prekeys.insert_one(Prekeys::none_yet(address)).await {
                Err(error) if !is_duplicate(&error) => return Err(error.into()),
                _ => continue,
            }
        };
        let keys = stored.stored()?;
        let added = match keys.decide(epoch, one_time, signed) {
            Ok(added) => added,
            Err(refusal) => return Ok(refusal.into()),
        };
        let new = added.one_time.into_iter().map(OneTime::new).collect();
        if prekeys::add(db, address, &stored, new, added.signed.map(Signed::new), doc! {}).await? {
            return Ok(UploadPrekeys::Stored);
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

/// See [`PrekeyStore::discard_one_time_prekeys`].
async fn discard(db: &Db, address: &DeviceAddress) -> Result<u32, DbError> {
    if !db.is_listed(address).await? {
        return Ok(0);
    }
    for tried in 1..=TRIES {
        let stored = prekeys::of(db, address).await?;
        let Some(oldest) = stored.one_time.first() else { return Ok(0) };
        // The condition excludes takes and uploads in between, so that the count is what is deleted.
        let mut read = of_device(address);
        read.extend(doc! { "max_issued": stored.max_issued, "one_time.0.id": oldest.id });
        let none = doc! { "$set": { "one_time": [], "taken": null } };
        if db.prekeys.update_one(read, none).await?.matched_count == 1 {
            return Ok(stored.one_time_left());
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

/// See [`PrekeyStore::take_bundle`].
async fn take_bundle(
    db: &Db,
    account: AccountId,
    device: DeviceId,
    with_one_time: bool,
    now: UnixMillis,
) -> Result<Option<TakenBundle>, DbError> {
    let Some(listed) = db.account(account).await? else { return Ok(None) };
    let Some(entry) = listed.devices.iter().find(|entry| entry.id == i32::from(device.get())) else { return Ok(None) };
    let address = values::join(account, entry.id, &entry.registration)?;
    let taking = async { if with_one_time { prekeys::take_oldest(db, &address, now).await } else { Ok(None) } };
    let (taken, hot) = tokio::try_join!(taking, db.hot(&address))?;
    let (one_time_prekey, keys) = match taken {
        Some(keys) => (keys.taken.as_ref().map(OneTime::value).transpose()?, keys),
        None => (None, prekeys::of(db, &address).await?),
    };
    let signed_prekey = keys.signed.as_ref().filter(|signed| signed.expires_at > values::time(now));
    let last_seen_at = hot.map_or(entry.since, |hot| hot.last_seen_at.max(entry.since));
    Ok(Some(TakenBundle {
        address,
        signed_prekey: signed_prekey.map(Signed::value).transpose()?,
        one_time_prekey,
        one_time_left: keys.one_time_left(),
        dormant: now.since(values::millis(last_seen_at)) >= QUEUE_RETENTION_MILLIS,
    }))
}
