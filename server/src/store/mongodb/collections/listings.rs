//! The lists of several accounts at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, RawDocumentBuf, deserialize_from_slice, doc};
use sealpost_crypto::{AccountId, DeviceAddress};

use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::accounts::{Listing, listed};
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// Returns the lists of these accounts, as far as they exist.
pub(crate) async fn listings(
    db: &Db,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Result<BTreeMap<AccountId, Listing>, DbError> {
    let accounts: BTreeSet<AccountId> = accounts.into_iter().collect();
    let ids: Vec<Binary> = accounts.into_iter().map(values::account).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let lists = db.accounts.clone_with_type::<Listing>();
    let find = lists.find(doc! { "_id": { "$in": ids } });
    let found: Vec<Listing> = find.projection(Listing::projection()).await?.try_collect().await?;
    let there = found.into_iter().filter(|listing| listing.erased_at.is_none());
    there.map(|listing| Ok((values::to_account(&listing.id)?, listing))).collect()
}

/// Returns the lists of these accounts that can be read, and the accounts whose list cannot.
pub(crate) async fn sound_listings(
    db: &Db,
    accounts: &BTreeSet<AccountId>,
) -> Result<(BTreeMap<AccountId, Listing>, BTreeSet<AccountId>), DbError> {
    let ids: Vec<Binary> = accounts.iter().map(|account| values::account(*account)).collect();
    let lists = db.accounts.clone_with_type::<RawDocumentBuf>();
    let mut found = lists.find(doc! { "_id": { "$in": ids } }).projection(Listing::projection()).await?;
    let (mut there, mut corrupt) = (BTreeMap::new(), BTreeSet::new());
    while let Some(raw) = found.try_next().await? {
        match deserialize_from_slice::<Listing>(raw.as_bytes()) {
            Ok(listing) if listing.erased_at.is_some() => {}
            Ok(listing) => drop(there.insert(values::to_account(&listing.id)?, listing)),
            Err(_) => drop(corrupt.insert(values::to_account(&values::raw_id(&raw)?)?)),
        }
    }
    Ok((there, corrupt))
}

/// Returns which of these devices are in a current list.
pub(crate) async fn listed_of(
    db: &Db,
    devices: impl Iterator<Item = DeviceAddress>,
) -> Result<BTreeSet<DeviceAddress>, DbError> {
    let mut found = BTreeSet::new();
    for (account, listing) in listings(db, devices.map(|address| address.account)).await? {
        found.extend(listed(account, &listing.devices)?);
    }
    Ok(found)
}
