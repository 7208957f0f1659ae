//! Devices that left their account's list: the senders of what waited are told, then all that was theirs is deleted.
//! Every part may be repeated. Whoever does it has claimed that in the account, and the registration does not return to the
//! list meanwhile: what it is given then stays. The document with its numbers and the highest prekey id stays while a queue may name it
//! as a sender, and in case the registration returns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, RawDocumentBuf, deserialize_from_slice, doc};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::accounts::Change;
use super::documents::{Claim, Listing, Removing, RowHead, in_queue, of_device};
use super::error::DbError;
use super::{Db, notices, prekeys, queue, values};

/// Another node may still be writing to the queue of a device that left its list for less than this, in ms. Every operation
/// gives up much earlier.
const UNDER_WAY_MILLIS: u64 = 600_000;
/// How long whoever cleans up after devices goes on with it.
const CLEANING_MAX: Duration = Duration::from_secs(60);
/// And from when on it is taken for dead, in ms: well after that, whatever the clocks of two nodes differ by.
const CLAIM_MILLIS: u64 = 600_000;

/// What went with devices that were removed.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) notified: BTreeSet<DeviceAddress>,
    pub(super) queued_messages: u64,
    pub(super) signed_prekeys: u64,
    pub(super) one_time_prekeys: u64,
}

/// A claim to clean up, from now on. Two that overlap would do no harm to each other, but to a registration that returns
/// between them.
pub(super) fn claim(now: UnixMillis) -> Claim {
    Claim { by: ObjectId::new(), until: values::time(now.saturating_add(CLAIM_MILLIS)) }
}

/// Cleans up after devices that are in no list any more; the caller has claimed that, or they cannot return.
pub(super) async fn clean_all(
    db: &Db,
    devices: &[DeviceAddress],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    let cleaning = async {
        for address in devices {
            clean(db, address, reason, now, &mut removed).await?;
        }
        Ok(())
    };
    tokio::time::timeout(CLEANING_MAX, cleaning).await.unwrap_or(Err(DbError::Slow))?;
    Ok(removed)
}

/// Ends a claim. Entries older than `before` are forgotten, and nothing more is expected for those that are old enough.
/// The hash of the name if the account is erased and all of it was cleaned up.
pub(super) async fn settle(
    db: &Db,
    account: &Binary,
    claim: &Claim,
    before: UnixMillis,
    now: UnixMillis,
) -> Result<Option<Binary>, DbError> {
    let settled = db.change_where(doc! { "_id": account }, |account| {
        let is_mine = |entry: &Removing| entry.cleaning.as_ref().is_some_and(|other| other.by == claim.by);
        let any = account.removing.iter().any(is_mine);
        account.removing.retain(|entry| !(is_mine(entry) && is_old(entry, before)));
        for entry in account.removing.iter_mut().filter(|entry| is_mine(entry)) {
            entry.done = now.since(values::millis(entry.at)) >= UNDER_WAY_MILLIS;
            entry.cleaning = None;
        }
        let over = account.erased_at.is_some() && account.removing.is_empty();
        let name = over.then(|| account.name_hash.clone());
        Ok(if any { Change::Write(name) } else { Change::Keep(name) })
    });
    Ok(settled.await?.flatten())
}

/// Whether nothing can name the device any more.
pub(super) fn is_old(entry: &Removing, before: UnixMillis) -> bool {
    entry.at < values::time(before)
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

/// The same, without those that cannot be read: the accounts that have such a one.
pub(super) async fn sound_listings(
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
