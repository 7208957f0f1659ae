//! The sweep: what waited too long, and what nothing refers to any more. One node does it at a time, under a lease; every part
//! may be repeated, so that two at once would do no harm.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, doc};
use sealpost_api::frames::MissedReason;
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::accounts::Change;
use super::documents::{Account, Hot, Removing, RowHead, in_queue, of_device};
use super::error::DbError;
use super::{Db, migrations, notices, prekeys, queue, removal, values};
use crate::store::ExpiredRows;

/// Documents of each kind that one sweep looks at.
const RESIDUE_MAX: i64 = 1_000;
/// Another node may still be writing to the queue of a device that left its list, and have room in a queue without its row
/// being there, for less than this, in ms. Every operation gives up much earlier.
const UNDER_WAY_MILLIS: u64 = 600_000;
/// A queue that is not empty is counted again this long after the last time, in ms.
const COUNT_AGAIN_MILLIS: u64 = 3_600_000;
/// How long a node that began a sweep keeps others from it, in ms.
const LEASE_MILLIS: u64 = 120_000;

/// See [`crate::store::QueueStore::expire`].
pub(super) async fn sweep(db: &Db, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, DbError> {
    if !migrations::lease(db, "lease:sweep", now, LEASE_MILLIS).await? {
        return Ok(ExpiredRows::default());
    }
    let mut notified = BTreeSet::new();
    let deleted = expire(db, before, now, limit, &mut notified).await?;
    clean_removed(db, before, now, &mut notified).await?;
    forget_residue(db, before, now).await?;
    count_again(db, now).await?;
    Ok(ExpiredRows { deleted, notified: notified.into_iter().collect() })
}

/// Expires the oldest rows: both sides' notices, then the rows.
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
    let rows: Vec<RowHead> =
        find.sort(doc! { "accepted_at": 1 }).limit(values::limit(limit)).await?.try_collect().await?;
    let mut queues: BTreeMap<DeviceAddress, Vec<RowHead>> = BTreeMap::new();
    for row in rows {
        queues.entry(row.recipient()?).or_default().push(row);
    }
    let mut deleted = 0_u64;
    for (to, rows) in queues {
        let mut senders: BTreeMap<DeviceAddress, Vec<MessageNumber>> = BTreeMap::new();
        for row in &rows {
            let number = MessageNumber(row.number.cast_unsigned());
            senders.entry(values::to_address(&row.from)?).or_default().push(number);
        }
        let listed = removal::listed_of(db, senders.keys().copied().chain([to])).await?;
        for (from, numbers) in &senders {
            if listed.contains(from) {
                let reason = sealpost_api::frames::ExpiryReason::Expired;
                notices::expired(db, from, &to, numbers, reason, now).await?;
                notified.insert(*from);
            }
            if listed.contains(&to) {
                notices::missed(db, &to, from, numbers, MissedReason::Expired, now).await?;
            }
        }
        notified.insert(to);
        deleted = deleted.saturating_add(queue::delete_rows(db, &to, &rows).await?);
    }
    Ok(deleted)
}

/// Cleans up after devices that left a list, again for as long as something may still come, and forgets them in the end.
async fn clean_removed(
    db: &Db,
    before: UnixMillis,
    now: UnixMillis,
    notified: &mut BTreeSet<DeviceAddress>,
) -> Result<(), DbError> {
    let some = doc! { "removing.at": { "$gte": 0_i64 } };
    let accounts: Vec<Account> = db.accounts.find(some).limit(RESIDUE_MAX).await?.try_collect().await?;
    for account in accounts {
        let id = account.account()?;
        for entry in &account.removing {
            let address = values::join(id, entry.device, &entry.registration)?;
            if !entry.done {
                let reason = notices::expiry(entry.reason)?;
                notified.extend(removal::clean_all(db, &[address], reason, now).await?.notified);
            }
            if is_old(entry, before) {
                db.devices.delete_one(of_device(&address)).await?;
                prekeys::forget(db, &address).await?;
            }
        }
        let seen = account.removing;
        let erased = db.change_where(doc! { "_id": &account.id }, |account| {
            let length = account.removing.len();
            account.removing.retain(|entry| !(is_old(entry, before) && seen.contains(entry)));
            let mut changed = account.removing.len() != length;
            for entry in account.removing.iter_mut().filter(|entry| !entry.done && seen.contains(entry)) {
                entry.done = now.since(values::millis(entry.at)) >= UNDER_WAY_MILLIS;
                changed |= entry.done;
            }
            let over = account.erased_at.is_some() && account.removing.is_empty();
            let name = over.then(|| account.name_hash.clone());
            Ok(if changed { Change::Write(name) } else { Change::Keep(name) })
        });
        if let Some(name) = erased.await?.flatten() {
            retire(db, &account.id, &name).await?;
        }
    }
    Ok(())
}

fn is_old(entry: &Removing, before: UnixMillis) -> bool {
    entry.at < values::time(before)
}

/// Keeps the hash of an erased account's name, and forgets the account.
async fn retire(db: &Db, account: &Binary, name: &Binary) -> Result<(), DbError> {
    db.lists.delete_many(doc! { "account": account }).await?;
    let hash = doc! { "_id": name };
    db.retired.update_one(hash, doc! { "$setOnInsert": { "_id": name } }).upsert(true).await?;
    db.accounts.delete_one(doc! { "_id": account, "erased_at": { "$gte": 0_i64 } }).await?;
    Ok(())
}

/// Notices that nobody fetched, sessions that ended, and invites that nobody used, each long enough ago.
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

/// Counts the fullest queues again where nothing is under way, once in a while: a crash may have left them counted too much.
/// Two counts that agree, with nothing between them, are needed: a row that was deleted may still be going to be given back.
async fn count_again(db: &Db, now: UnixMillis) -> Result<(), DbError> {
    let still = doc! {
        "bytes": { "$gt": 0_i64 },
        "reserved_at": { "$lt": values::time(now.saturating_sub(UNDER_WAY_MILLIS)) },
        "counted_at": { "$lt": values::time(now.saturating_sub(COUNT_AGAIN_MILLIS)) },
    };
    let queues: Vec<Hot> =
        db.devices.find(still).sort(doc! { "bytes": -1 }).limit(RESIDUE_MAX).await?.try_collect().await?;
    let mut suspects = std::mem::take(&mut *db.suspects.lock());
    let mut still_suspect = BTreeMap::new();
    for hot in queues {
        let address = values::to_address(&hot.id)?;
        let (rows, bytes) = queue::count(db, in_queue(&address)).await?;
        let seen = Suspect { next: hot.next, counters: (hot.messages, hot.bytes), counted: (rows, bytes), at: now };
        let wrong = seen.counters != seen.counted;
        match suspects.remove(&address).filter(|before| wrong && before.is_same(&seen)) {
            None if wrong => drop(still_suspect.insert(address, seen)),
            Some(before) if now.since(before.at) < UNDER_WAY_MILLIS => drop(still_suspect.insert(address, before)),
            None | Some(_) => {
                let mut same = of_device(&address);
                same.extend(doc! { "next": hot.next, "messages": hot.messages, "bytes": hot.bytes });
                let counted = doc! { "messages": rows, "bytes": bytes, "counted_at": values::time(now) };
                db.devices.update_one(same, doc! { "$set": counted }).await?;
            }
        }
    }
    *db.suspects.lock() = still_suspect;
    Ok(())
}

/// A queue whose counters and rows disagree.
pub(super) struct Suspect {
    next: i64,
    counters: (i64, i64),
    counted: (i64, i64),
    at: UnixMillis,
}

impl Suspect {
    /// Whether nothing came, went or was given back between.
    fn is_same(&self, later: &Self) -> bool {
        (self.next, self.counters, self.counted) == (later.next, later.counters, later.counted)
    }
}
