//! Prekeys: one document per device.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use sealpost_api::limits::ONE_TIME_PREKEYS_MAX_STORED;
use sealpost_crypto::{DeviceAddress, SignedPrekey, UnixMillis};
use sealpost_sabotage::{Countermeasure, or_planted};

use crate::store::mongodb::db::{Db, TRIES, pause};
use crate::store::mongodb::documents::devices::of_device;
use crate::store::mongodb::documents::prekeys::{OneTime, Prekeys, Signed};
use crate::store::mongodb::error::{DbError, is_duplicate};
use crate::store::mongodb::values;
use crate::store::prekeys::DeviceKeys;

/// Returns a value as BSON.
fn bson(value: &impl serde::Serialize) -> Result<Bson, DbError> {
    serialize_to_bson(value).map_err(|_| DbError::Corrupt("a value that BSON cannot hold"))
}

/// Returns what a device has stored; nothing if it has no document.
pub(crate) async fn of(db: &Db, address: &DeviceAddress) -> Result<Prekeys, DbError> {
    Ok(db.prekeys.find_one(of_device(address)).await?.unwrap_or_else(|| Prekeys::none_yet(address)))
}

/// Stores the first keys of a device that is about to enter a list, or to return to one. If the document is new,
/// returns the name of this attempt in it, by which it can be taken back.
pub(crate) async fn begin(db: &Db, address: &DeviceAddress, keys: &DeviceKeys) -> Result<Option<ObjectId>, DbError> {
    let begun = ObjectId::new();
    for tried in 1..=TRIES {
        let Some(stored) = db.prekeys.find_one(of_device(address)).await? else {
            let mut first = Prekeys::none_yet(address);
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

/// Returns the signed prekey if it is newer than the stored one.
fn newer(stored: &Prekeys, signed: Option<&SignedPrekey>) -> Option<Signed> {
    let signed = signed.map(Signed::new)?;
    stored.signed.as_ref().is_none_or(|current| current.id < signed.id).then_some(signed)
}

/// Adds keys to the document as it was read. Returns whether it was still the same.
pub(crate) async fn add(
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

/// Deletes the keys of a device that left its list. Returns how many signed and one-time prekeys there were. The
/// highest id stays, unless the device cannot return.
pub(crate) async fn clear(db: &Db, address: &DeviceAddress, for_ever: bool) -> Result<(u64, u64), DbError> {
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

/// Deletes a device's document.
pub(crate) async fn forget(db: &Db, address: &DeviceAddress) -> Result<(), DbError> {
    db.prekeys.delete_one(of_device(address)).await?;
    Ok(())
}

/// Deletes what an attempt stored for a device that did not enter a list, unless another attempt has prepared it since.
pub(crate) async fn take_back(db: &Db, address: &DeviceAddress, begun: ObjectId) -> Result<(), DbError> {
    let mut mine = of_device(address);
    mine.insert("begun", begun);
    db.prekeys.delete_one(mine).await?;
    Ok(())
}

/// Takes the oldest one-time prekey out of the document and returns the document, in one step. `None` if nothing was
/// taken: without a valid signed prekey the key would be burned for nothing. A crash after the step at worst burns the
/// key.
pub(crate) async fn take_oldest(db: &Db, address: &DeviceAddress, now: UnixMillis) -> Result<Option<Prekeys>, DbError> {
    let mut some = of_device(address);
    some.extend(doc! { "signed.expires_at": { "$gt": values::time(now) }, "one_time": { "$ne": [] } });
    let most = i32::try_from(ONE_TIME_PREKEYS_MAX_STORED).unwrap_or(i32::MAX);
    let first_left = or_planted(Countermeasure::AtomicTake, 1, 0);
    let rest = doc! { "$slice": ["$one_time", first_left, most] };
    let take = vec![doc! { "$set": { "taken": { "$arrayElemAt": ["$one_time", 0] }, "one_time": rest } }];
    Ok(db.prekeys.find_one_and_update(some, take).return_document(ReturnDocument::After).await?)
}
