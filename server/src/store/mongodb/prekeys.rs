//! Prekeys: one document a device, so that an upload and a take are one step each.
//!
//! A take moves the oldest key into `taken` and is answered with the document as it is then: what it moved is its own,
//! whoever else takes at the same time. An upload is conditional on `max_issued`, so that of two repetitions only one adds.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::{ONE_TIME_PREKEYS_MAX_STORED, QUEUE_RETENTION_MILLIS};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, OneTimePrekey, SignedPrekey, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::documents::{OneTime, Prekeys, Signed, of_device};
use super::error::{DbError, is_duplicate};
use super::{Db, MongoStore, TRIES, pause, values};
use crate::store::uploads::StoredKeys;
use crate::store::{DeviceKeys, PrekeyStore, StoreError, TakenBundle, UploadPrekeys};

/// The key epoch of a device that no restore has touched.
const FIRST_KEY_EPOCH: i64 = 1;

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
        let keys = of(&self.db, &address).await?;
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

fn none_yet(address: &DeviceAddress) -> Prekeys {
    Prekeys {
        id: values::address(address),
        account: values::account(address.account),
        key_epoch: FIRST_KEY_EPOCH,
        max_issued: 0,
        signed: None,
        one_time: Vec::new(),
        taken: None,
        begun: ObjectId::new(),
        removed: false,
    }
}

fn bson(value: &impl serde::Serialize) -> Result<Bson, DbError> {
    serialize_to_bson(value).map_err(|_| DbError::Corrupt("a value that BSON cannot hold"))
}

/// What a device has; of one without a document, nothing.
pub(super) async fn of(db: &Db, address: &DeviceAddress) -> Result<Prekeys, DbError> {
    Ok(db.prekeys.find_one(of_device(address)).await?.unwrap_or_else(|| none_yet(address)))
}

/// The key epoch as clients know it.
pub(super) fn key_epoch(keys: &Prekeys) -> KeyEpoch {
    KeyEpoch(u32::try_from(keys.key_epoch).unwrap_or(u32::MAX))
}

/// Stores the first keys of a device that is about to be in a list, or was in one before. If the document is new: what
/// names this attempt in it, to take it back.
pub(super) async fn begin(db: &Db, address: &DeviceAddress, keys: &DeviceKeys) -> Result<Option<ObjectId>, DbError> {
    let begun = ObjectId::new();
    for tried in 1..=TRIES {
        let Some(stored) = db.prekeys.find_one(of_device(address)).await? else {
            let mut first = none_yet(address);
            first.begun = begun;
            first.signed = Some(Signed::new(&keys.signed_prekey));
            first.one_time = keys.one_time_prekeys.iter().map(OneTime::new).collect();
            first.max_issued = first.one_time.iter().map(|key| key.id).max().unwrap_or(0);
            match db.prekeys.insert_one(first).await {
                Ok(_) => return Ok(Some(begun)),
                Err(error) if is_duplicate(&error) => continue,
                Err(error) => return Err(error.into()),
            }
        };
        let new: Vec<OneTime> =
            keys.one_time_prekeys.iter().map(OneTime::new).filter(|key| key.id > stored.max_issued).collect();
        let signed = newer(&stored, Some(&keys.signed_prekey));
        // From here on no other attempt takes the document back.
        if add(db, address, &stored, new, signed, doc! { "begun": begun, "removed": false }).await? {
            return Ok(None);
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

/// The signed prekey if it is newer than the stored one.
fn newer(stored: &Prekeys, signed: Option<&SignedPrekey>) -> Option<Signed> {
    let signed = signed.map(Signed::new)?;
    stored.signed.as_ref().is_none_or(|current| current.id < signed.id).then_some(signed)
}

/// Adds keys to the document as it was read; whether it still was that.
async fn add(
    db: &Db,
    address: &DeviceAddress,
    stored: &Prekeys,
    new: Vec<OneTime>,
    signed: Option<Signed>,
    mut set: Document,
) -> Result<bool, DbError> {
    if new.is_empty() && signed.is_none() && set.is_empty() {
        return Ok(true);
    }
    let mut read = of_device(address);
    read.extend(doc! { "key_epoch": stored.key_epoch, "max_issued": stored.max_issued });
    match &stored.signed {
        Some(signed) => read.insert("signed.id", signed.id),
        None => read.insert("signed", Bson::Null),
    };
    let highest = new.iter().map(|key| key.id).fold(stored.max_issued, i64::max);
    set.insert("max_issued", highest);
    if let Some(signed) = signed {
        set.insert("signed", bson(&signed)?);
    }
    let mut update = doc! { "$set": set };
    if !new.is_empty() {
        update.insert("$push", doc! { "one_time": { "$each": bson(&new)? } });
    }
    Ok(db.prekeys.update_one(read, update).await?.matched_count == 1)
}

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
            match db.prekeys.insert_one(none_yet(address)).await {
                Err(error) if !is_duplicate(&error) => return Err(error.into()),
                _ => continue,
            }
        };
        let keys = stored_keys(&stored)?;
        let added = match keys.decide(epoch, one_time, signed) {
            Ok(added) => added,
            Err(answer) => return Ok(answer),
        };
        let new = added.one_time.into_iter().map(OneTime::new).collect();
        if add(db, address, &stored, new, added.signed.map(Signed::new), doc! {}).await? {
            return Ok(UploadPrekeys::Stored);
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

fn stored_keys(keys: &Prekeys) -> Result<StoredKeys, DbError> {
    let one_time = keys.one_time.iter().map(|key| Ok((values::small(key.id)?, values::fixed(&key.key)?)));
    Ok(StoredKeys {
        key_epoch: key_epoch(keys),
        max_issued: values::small(keys.max_issued)?,
        one_time: one_time.collect::<Result<_, DbError>>()?,
        signed: keys.signed.as_ref().map(Signed::value).transpose()?,
    })
}

async fn discard(db: &Db, address: &DeviceAddress) -> Result<u32, DbError> {
    if !db.is_listed(address).await? {
        return Ok(0);
    }
    for tried in 1..=TRIES {
        let stored = of(db, address).await?;
        let Some(oldest) = stored.one_time.first() else { return Ok(0) };
        // Neither a take nor an upload came between, so that the count is what goes.
        let mut read = of_device(address);
        read.extend(doc! { "max_issued": stored.max_issued, "one_time.0.id": oldest.id });
        let none = doc! { "$set": { "one_time": [], "taken": null } };
        if db.prekeys.update_one(read, none).await?.matched_count == 1 {
            return Ok(u32::try_from(stored.one_time.len()).unwrap_or(u32::MAX));
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

/// Takes the keys of a device that left its list; how many signed and one-time prekeys there were. The highest id stays,
/// unless the device cannot return.
pub(super) async fn clear(db: &Db, address: &DeviceAddress, for_ever: bool) -> Result<(u64, u64), DbError> {
    let stored = of(db, address).await?;
    if for_ever {
        forget(db, address).await?;
    } else {
        let none = doc! { "$set": { "signed": null, "one_time": [], "taken": null, "removed": true } };
        db.prekeys.update_one(of_device(address), none).await?;
    }
    let one_time = u64::try_from(stored.one_time.len()).unwrap_or(u64::MAX);
    Ok((u64::from(stored.signed.is_some()), one_time))
}

/// Deletes the document.
pub(super) async fn forget(db: &Db, address: &DeviceAddress) -> Result<(), DbError> {
    db.prekeys.delete_one(of_device(address)).await?;
    Ok(())
}

/// Deletes what an attempt stored for a device that did not get into a list, unless another has prepared it since.
pub(super) async fn take_back(db: &Db, address: &DeviceAddress, begun: ObjectId) -> Result<(), DbError> {
    let mut mine = of_device(address);
    mine.insert("begun", begun);
    db.prekeys.delete_one(mine).await?;
    Ok(())
}

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
    let taking = async { if with_one_time { take_oldest(db, &address, now).await } else { Ok(None) } };
    let (taken, hot) = tokio::try_join!(taking, db.hot(&address))?;
    let (one_time_prekey, keys) = match taken {
        Some(keys) => (keys.taken.as_ref().map(OneTime::value).transpose()?, keys),
        None => (None, of(db, &address).await?),
    };
    let signed_prekey = keys.signed.as_ref().filter(|signed| signed.expires_at > values::time(now));
    let last_seen_at = hot.map_or(entry.since, |hot| hot.last_seen_at.max(entry.since));
    Ok(Some(TakenBundle {
        address,
        signed_prekey: signed_prekey.map(Signed::value).transpose()?,
        one_time_prekey,
        one_time_left: u32::try_from(keys.one_time.len()).unwrap_or(u32::MAX),
        dormant: now.since(values::millis(last_seen_at)) >= QUEUE_RETENTION_MILLIS,
    }))
}

/// One step that takes the oldest key out and returns it. Without a signed prekey nobody could use it: it would be burned
/// for nothing. `None` when nothing was taken. A crash after it burns the key at worst.
async fn take_oldest(db: &Db, address: &DeviceAddress, now: UnixMillis) -> Result<Option<Prekeys>, DbError> {
    let mut some = of_device(address);
    some.extend(doc! { "signed.expires_at": { "$gt": values::time(now) }, "one_time": { "$ne": [] } });
    let most = i32::try_from(ONE_TIME_PREKEYS_MAX_STORED).unwrap_or(i32::MAX);
    let rest: Document = match without(Countermeasure::AtomicTake) {
        false => doc! { "$slice": ["$one_time", 1, most] },
        true => doc! { "$slice": ["$one_time", 0, most] },
    };
    let take = vec![doc! { "$set": { "taken": { "$arrayElemAt": ["$one_time", 0] }, "one_time": rest } }];
    Ok(db.prekeys.find_one_and_update(some, take).return_document(ReturnDocument::After).await?)
}
