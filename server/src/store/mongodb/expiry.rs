//! The sweep: expires what waited too long, and forgets what nothing refers to any more. One node sweeps at a time,
//! under a lease; every part can be repeated, so that two at once would do no harm.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, doc};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::collections::accounts::Change;
use super::collections::{listings, notices, prekeys, rows};
use super::db::Db;
use super::documents::accounts::{Account, Removing};
use super::documents::devices::of_device;
use super::documents::queue::RowHead;
use super::error::DbError;
use super::lease::Lease;
use super::{recount, removal, values};
use crate::store::error::StoreError;
use crate::store::queue::ExpiredRows;

/// Documents of each kind that one sweep looks at.
const RESIDUE_MAX: i64 = 1_000;

/// For how long a node that began a sweep keeps other nodes from sweeping, in ms.
const LEASE_MILLIS: u64 = 120_000;

/// See [`QueueStore::expire`](crate::store::QueueStore::expire).
pub(super) async fn sweep(
    db: &Db,
    before: UnixMillis,
    now: UnixMillis,
    limit: usize,
) -> Result<ExpiredRows, StoreError> {
    db.note_doubts(now).await?;
    let lease = Lease::new(db, "lease:sweep", now, LEASE_MILLIS);
    let mut expired = ExpiredRows::default();
    if !lease.hold().await? {
        return Ok(expired);
    }
    let mut notified = BTreeSet::new();
    expired.deleted = expire(db, before, now, limit, &mut notified).await?;
    // If this node has lost its lease, another node continues.
    if lease.hold().await? {
        clean_removed(db, &lease, before, now, &mut notified).await?;
    }
    if lease.hold().await? {
        forget_residue(db, before, now).await?;
    }
    if lease.hold().await? {
        recount::recount(db, now).await?;
    }
    expired.notified = notified.into_iter().collect();
    Ok(expired)
}

/// Expires the oldest rows: notices for both sides, then the deletion.
async fn expire(
    db: &Db,
    before: UnixMillis,
    now: UnixMillis,
    limit: usize,
    notified: &mut BTreeSet<DeviceAddress>,
) -> Result<u64, DbError> {
    if limit == 0 {
        return Ok(0);
    }
    let due = doc! { "accepted_at": { "$lt": values::time(before) } };
    let heads = db.queue.clone_with_type::<RowHead>();
    let find = heads.find(due).projection(RowHead::projection());
    let due: Vec<RowHead> =
        find.sort(doc! { "accepted_at": 1 }).limit(values::limit(limit)).await?.try_collect().await?;
    let mut queues: BTreeMap<DeviceAddress, Vec<RowHead>> = BTreeMap::new();
    for row in due {
        queues.entry(row.recipient()?).or_default().push(row);
    }
    let mut deleted = 0_u64;
    for (to, due) in queues {
        let mut senders: BTreeMap<DeviceAddress, Vec<MessageNumber>> = BTreeMap::new();
        for row in &due {
            let number = MessageNumber(row.number.cast_unsigned());
            senders.entry(values::to_address(&row.from)?).or_default().push(number);
        }
        let listed = listings::listed_of(db, senders.keys().copied().chain([to])).await?;
        for (from, numbers) in &senders {
            if listed.contains(from) {
                notices::expired(db, from, &to, numbers, ExpiryReason::Expired, now).await?;
                notified.insert(*from);
            }
            if listed.contains(&to) {
                notices::missed(db, &to, from, numbers, MissedReason::Expired, now).await?;
            }
        }
        notified.insert(to);
        deleted = deleted.saturating_add(rows::delete_rows(db, &to, &due).await?);
    }
    Ok(deleted)
}

/// Cleans up after devices that left a list, again and again for as long as something may still come, and forgets them
/// in the end.
async fn clean_removed(
    db: &Db,
    lease: &Lease<'_>,
    before: UnixMillis,
    now: UnixMillis,
    notified: &mut BTreeSet<DeviceAddress>,
) -> Result<(), DbError> {
    // One kind after the other, so that many of one kind do not hide the others.
    for some in [
        doc! { "removing.done": false },
        doc! { "removing.at": { "$lt": values::time(before) } },
        doc! { "erased_at": { "$gte": 0_i64 }, "removing": [] },
    ] {
        let ids = db.accounts.clone_with_type::<AccountKey>();
        let find = ids.find(some).projection(doc! { "_id": 1 }).limit(RESIDUE_MAX);
        let accounts: Vec<AccountKey> = find.await?.try_collect().await?;
        for account in accounts {
            match clean_account(db, &account.id, before, now).await {
                Ok(more) => notified.extend(more),
                // The other accounts must not wait for this one.
                Err(error) => {
                    tracing::warn!(error = %StoreError::from(error), "a removed device is not cleaned up yet")
                }
            }
            if !lease.hold_on().await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The part of an account that names it.
#[derive(Deserialize)]
struct AccountKey {
    #[serde(rename = "_id")]
    id: Binary,
}

/// Claims what has to be cleaned up in one account and no other node is at, and does it.
async fn clean_account(
    db: &Db,
    id: &Binary,
    before: UnixMillis,
    now: UnixMillis,
) -> Result<BTreeSet<DeviceAddress>, DbError> {
    let claim = removal::claim(now);
    let claimed = db.change_where(doc! { "_id": id }, |account| {
        let due = |entry: &Removing| !entry.done || removal::is_old(entry, before);
        let mut entries = Vec::new();
        for entry in account.removing.iter_mut().filter(|entry| due(entry) && !entry.is_claimed(now)) {
            entry.cleaning = Some(claim.clone());
            entries.push(entry.clone());
        }
        Ok(if entries.is_empty() { Change::Keep(entries) } else { Change::Write(entries) })
    });
    let (account, mut notified) = (values::to_account(id)?, BTreeSet::new());
    for entry in claimed.await?.unwrap_or_default() {
        let address = entry.address(account)?;
        if !entry.done {
            let reason = notices::expiry(entry.reason)?;
            notified.extend(removal::clean_all(db, &[address], reason, now).await?.notified);
        }
        if removal::is_old(&entry, before) {
            db.devices.delete_one(of_device(&address)).await?;
            prekeys::forget(db, &address).await?;
        }
    }
    if let Some(name) = removal::settle(db, id, &claim, before, now).await? {
        retire(db, id, &name).await?;
    }
    Ok(notified)
}

/// Keeps the hash of an erased account's name, and deletes the account.
async fn retire(db: &Db, account: &Binary, name: &Binary) -> Result<(), DbError> {
    db.lists.delete_many(doc! { "account": account }).await?;
    let hash = doc! { "_id": name };
    db.retired.update_one(hash, doc! { "$setOnInsert": { "_id": name } }).upsert(true).await?;
    db.accounts.delete_one(doc! { "_id": account, "erased_at": { "$gte": 0_i64 } }).await?;
    Ok(())
}

/// Forgets notices that were never fetched, sessions that ended, and invites that were never used, each after long
/// enough.
async fn forget_residue(db: &Db, before: UnixMillis, now: UnixMillis) -> Result<(), DbError> {
    let before = values::time(before);
    db.notices.delete_many(doc! { "created_at": { "$lt": before } }).await?;
    db.invites.delete_many(doc! { "expires_at": { "$lte": values::time(now) } }).await?;
    let ended = doc! { "sessions.ended_at": { "$lt": before } };
    let accounts: Vec<Account> = db.accounts.find(ended).limit(RESIDUE_MAX).await?.try_collect().await?;
    for account in accounts {
        let forgotten = db.change_where(doc! { "_id": &account.id }, |account| {
            account.sessions.retain(|session| session.ended_at.is_none_or(|ended| ended >= before));
            Ok(Change::Write(()))
        });
        forgotten.await?;
    }
    Ok(())
}
