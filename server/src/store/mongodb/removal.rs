//! Devices that left their account's list: the senders of what waited are told, then all that was theirs is deleted.
//! Every part may be repeated. The document with its numbers and the highest prekey id stays while a queue may name it
//! as a sender, and in case the registration returns.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, doc};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::documents::{Listing, RowHead, in_queue, of_device};
use super::error::DbError;
use super::{Db, notices, prekeys, queue, values};

/// What went with devices that were removed.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) notified: BTreeSet<DeviceAddress>,
    pub(super) queued_messages: u64,
    pub(super) signed_prekeys: u64,
    pub(super) one_time_prekeys: u64,
}

/// Cleans up after devices that are in no list any more.
pub(super) async fn clean_all(
    db: &Db,
    devices: &[DeviceAddress],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    for address in devices {
        clean(db, address, reason, now, &mut removed).await?;
    }
    Ok(removed)
}

async fn clean(
    db: &Db,
    address: &DeviceAddress,
    reason: ExpiryReason,
    now: UnixMillis,
    removed: &mut Removed,
) -> Result<(), DbError> {
    // Whoever is still connected as this device neither sends nor acks any more.
    db.devices.update_one(of_device(address), doc! { "$inc": { "epoch": 1_i64 } }).await?;
    let rows: Vec<RowHead> = db
        .queue
        .clone_with_type::<RowHead>()
        .find(in_queue(address))
        .projection(RowHead::projection())
        .await?
        .try_collect()
        .await?;
    let mut senders: BTreeMap<DeviceAddress, Vec<MessageNumber>> = BTreeMap::new();
    for row in &rows {
        let number = MessageNumber(row.number.cast_unsigned());
        senders.entry(values::to_address(&row.from)?).or_default().push(number);
    }
    let listed = listed_of(db, senders.keys().copied()).await?;
    for (sender, numbers) in senders.iter().filter(|(sender, _)| listed.contains(sender)) {
        notices::expired(db, sender, address, numbers, reason, now).await?;
        removed.notified.insert(*sender);
    }
    let deleted = queue::delete_rows(db, address, &rows).await?;
    removed.queued_messages = removed.queued_messages.saturating_add(deleted);
    db.notices.delete_many(in_queue(address)).await?;
    let (signed, one_time) = prekeys::clear(db, address, reason == ExpiryReason::AccountDeleted).await?;
    removed.signed_prekeys = removed.signed_prekeys.saturating_add(signed);
    removed.one_time_prekeys = removed.one_time_prekeys.saturating_add(one_time);
    Ok(())
}

/// The lists of these accounts, as far as they are there.
pub(super) async fn listings(
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

/// Which of these devices are in a current list.
pub(super) async fn listed_of(
    db: &Db,
    devices: impl Iterator<Item = DeviceAddress>,
) -> Result<BTreeSet<DeviceAddress>, DbError> {
    let mut listed = BTreeSet::new();
    for (account, listing) in listings(db, devices.map(|address| address.account)).await? {
        listed.extend(super::documents::listed(account, &listing.devices)?);
    }
    Ok(listed)
}
