//! Cleaning up after devices that left their account's list: the senders of what waited are told; then everything of
//! the devices is deleted.
//!
//! Every part can be repeated. A clean-up is claimed in the account, and meanwhile the registration does not return to
//! the list, so that what it is given on return is not deleted. The document with its message numbers, and the highest
//! prekey id, stay while a queue may name the device as a sender, and in case the registration returns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, doc};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::collections::accounts::Change;
use super::collections::{listings, notices, prekeys, rows};
use super::db::Db;
use super::documents::accounts::{Claim, Removing};
use super::documents::devices::{in_queue, of_device};
use super::documents::queue::RowHead;
use super::error::DbError;
use super::values;

/// For how long, in ms, another node may still write to the queue of a device that left its list. Every operation gives
/// up much earlier.
const UNDER_WAY_MILLIS: u64 = 600_000;

/// How long a node cleans up in one go.
const CLEANING_MAX: Duration = Duration::from_secs(60);

/// When a node that cleans up is taken for dead, in ms: well after that, by any difference between the clocks of two
/// nodes.
const CLAIM_MILLIS: u64 = 600_000;

/// What went with devices that were removed.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) notified: BTreeSet<DeviceAddress>,
    pub(super) queued_messages: u64,
    pub(super) signed_prekeys: u64,
    pub(super) one_time_prekeys: u64,
}

/// A claim to clean up, from now on. Two clean-ups that overlap do no harm to each other, but to a registration that
/// returns between them.
pub(super) fn claim(now: UnixMillis) -> Claim {
    Claim { by: ObjectId::new(), until: values::time(now.saturating_add(CLAIM_MILLIS)) }
}

/// Cleans up after devices that are in no list any more. The caller has claimed that, or they cannot return.
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

/// Ends a claim. Entries older than `before` are deleted, and nothing more is expected for those that are old enough.
/// Returns the hash of the name if the account is erased and completely cleaned up.
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

/// Returns whether nothing can name the device any more.
pub(super) fn is_old(entry: &Removing, before: UnixMillis) -> bool {
    entry.at < values::time(before)
}

/// Cleans up after one device.
async fn clean(
    db: &Db,
    address: &DeviceAddress,
    reason: ExpiryReason,
    now: UnixMillis,
    removed: &mut Removed,
) -> Result<(), DbError> {
    // From here on, a connection of this device can neither send nor ack.
    db.devices.update_one(of_device(address), doc! { "$inc": { "epoch": 1_i64 } }).await?;
    let waiting: Vec<RowHead> = db
        .queue
        .clone_with_type::<RowHead>()
        .find(in_queue(address))
        .projection(RowHead::projection())
        .await?
        .try_collect()
        .await?;
    let mut senders: BTreeMap<DeviceAddress, Vec<MessageNumber>> = BTreeMap::new();
    for row in &waiting {
        let number = MessageNumber(row.number.cast_unsigned());
        senders.entry(values::to_address(&row.from)?).or_default().push(number);
    }
    let listed = listings::listed_of(db, senders.keys().copied()).await?;
    for (sender, numbers) in senders.iter().filter(|(sender, _)| listed.contains(sender)) {
        notices::expired(db, sender, address, numbers, reason, now).await?;
        removed.notified.insert(*sender);
    }
    let deleted = rows::delete_rows(db, address, &waiting).await?;
    removed.queued_messages = removed.queued_messages.saturating_add(deleted);
    db.notices.delete_many(in_queue(address)).await?;
    let (signed, one_time) = prekeys::clear(db, address, reason == ExpiryReason::AccountDeleted).await?;
    removed.signed_prekeys = removed.signed_prekeys.saturating_add(signed);
    removed.one_time_prekeys = removed.one_time_prekeys.saturating_add(one_time);
    Ok(())
}
