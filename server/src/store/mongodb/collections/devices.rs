//! The documents of devices that change with every message.
//!
//! `next` numbers the rows of a device's queue; `messages` and `bytes` count them. Room is reserved here before a row
//! is written and released after it was deleted, so that a counter is never below what the queue holds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, RawDocumentBuf, deserialize_from_slice, doc};
use mongodb::options::ReturnDocument;
use sealpost_api::ids::ConnectionEpoch;
use sealpost_crypto::{AccountId, DeviceAddress};
use sealpost_sabotage::{Countermeasure, without};

use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::devices::{Hot, of_device};
use crate::store::mongodb::error::{DbError, is_duplicate};
use crate::store::mongodb::values;

impl Db {
    /// Returns a device's document; `None` if nothing has changed in it yet.
    pub(crate) async fn hot(&self, address: &DeviceAddress) -> Result<Option<Hot>, DbError> {
        Ok(self.devices.find_one(of_device(address)).await?)
    }

    /// Returns the documents of all devices of some accounts, including those that have left their lists.
    pub(crate) async fn all_hot(
        &self,
        accounts: impl IntoIterator<Item = AccountId>,
    ) -> Result<BTreeMap<DeviceAddress, Hot>, DbError> {
        let accounts: Vec<_> = accounts.into_iter().map(values::account).collect();
        let found: Vec<Hot> = self.devices.find(doc! { "account": { "$in": accounts } }).await?.try_collect().await?;
        found.into_iter().map(|hot| Ok((values::to_address(&hot.id)?, hot))).collect()
    }

    /// Returns the documents of all devices of some accounts that can be read, and the addresses of those that cannot.
    pub(crate) async fn sound_hot(
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

/// Makes the document of a device that has not sent or received anything, unless it exists.
pub(crate) async fn ensure(db: &Db, address: &DeviceAddress, since: i64) -> Result<(), DbError> {
    match db.devices.insert_one(Hot::new(address, since)).await {
        Err(error) if !is_duplicate(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns the sequence of the next row in a device's queue.
pub(crate) async fn next_row(db: &Db, address: &DeviceAddress) -> Result<i64, DbError> {
    let next = || {
        let more = doc! { "$inc": { "next": 1_i64 } };
        db.devices.find_one_and_update(of_device(address), more).return_document(ReturnDocument::After)
    };
    if let Some(hot) = next().await? {
        return Ok(hot.next);
    }
    ensure(db, address, 0).await?;
    next().await?.map(|hot| hot.next).ok_or(DbError::Corrupt("a device whose document vanished"))
}

/// Returns whether the device has a newer connection than this one. A database that knows only older connections has
/// not caught up yet, because it confirmed this one.
///
/// # Errors
/// [`DbError::Behind`] then.
pub(crate) fn is_superseded(stored: i64, epoch: ConnectionEpoch) -> Result<bool, DbError> {
    if planted_trust_in_any_connection() {
        return Ok(false);
    }
    match stored.cast_unsigned().cmp(&epoch.0) {
        Ordering::Greater => Ok(true),
        Ordering::Equal => Ok(false),
        Ordering::Less => Err(DbError::Behind),
    }
}

/// A planted fault: takes any connection for the newest.
fn planted_trust_in_any_connection() -> bool {
    without(Countermeasure::ConnectionEpoch)
}

/// The step that releases room that was reserved.
pub(crate) fn less(rows: i64, bytes: i64) -> Document {
    doc! { "$inc": { "messages": rows.saturating_neg(), "bytes": bytes.saturating_neg() } }
}
