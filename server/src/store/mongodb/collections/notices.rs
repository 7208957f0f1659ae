//! Notices: what a device is told besides its messages. They are stored beside the queue and do not count for its
//! quotas.
//!
//! They are merged per pair of devices, kind and reason until one is read. Once read for delivery a notice is *sealed*:
//! what comes later begins a new one, so that the ack of what was read deletes exactly that.
//!
//! Writing the same twice changes nothing. A notice about own messages holds all their numbers, which a queue's quota
//! bounds. A notice about another device's messages counts them, and holds the numbers that it counted last: a sender's
//! window accepts no number again that lies further back.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_api::limits::NUMBER_WINDOW;
use sealpost_crypto::{DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::devices;
use crate::store::mongodb::db::{Db, TRIES, pause};
use crate::store::mongodb::documents::devices::in_queue;
use crate::store::mongodb::documents::queue::Notice;
use crate::store::mongodb::error::{DbError, is_duplicate};
use crate::store::mongodb::values;
use crate::store::queue::QueueItem;
use crate::store::reasons::{self, EXPIRED, MISSED, NUMBERS_MAX};

/// Numbers that are added to a notice in one step.
const ADDED_MAX: usize = 1_024;

/// Counted numbers of another device's messages that a notice remembers: as many as a window tells apart.
const RECENT_MAX: u64 = NUMBER_WINDOW;

/// Returns the reason that a code stands for, of a notice about own messages.
pub(crate) fn expiry(code: i32) -> Result<ExpiryReason, DbError> {
    reasons::expiry(code).ok_or(DbError::Corrupt("a notice with an unknown reason"))
}

/// Returns the reason that a code stands for, of a notice about another device's messages.
fn miss(code: i32) -> Result<MissedReason, DbError> {
    reasons::missed(code).ok_or(DbError::Corrupt("a notice with an unknown reason"))
}

/// Records for `to` that these messages of `from` are not kept for it.
pub(crate) async fn missed(
    db: &Db,
    to: &DeviceAddress,
    from: &DeviceAddress,
    numbers: &[MessageNumber],
    reason: MissedReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    add(db, to, (MISSED, reasons::missed_code(reason)), from, numbers, now).await
}

/// Records for `sender` that its messages with these numbers will not reach `to`.
pub(crate) async fn expired(
    db: &Db,
    sender: &DeviceAddress,
    to: &DeviceAddress,
    numbers: &[MessageNumber],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    add(db, sender, (EXPIRED, reasons::expiry_code(reason)), to, numbers, now).await
}

/// Adds numbers to the notices of a pair, kind and reason.
async fn add(
    db: &Db,
    to: &DeviceAddress,
    (kind, reason): (i32, i32),
    peer: &DeviceAddress,
    numbers: &[MessageNumber],
    now: UnixMillis,
) -> Result<(), DbError> {
    for chunk in numbers.chunks(ADDED_MAX) {
        let chunk: Vec<i64> = chunk.iter().map(|number| number.0.cast_signed()).collect();
        let count = values::limit(chunk.len());
        let (numbers, recent) = if kind == EXPIRED { (chunk, Vec::new()) } else { (Vec::new(), chunk) };
        let notice = Notice {
            id: ObjectId::new(),
            account: values::account(to.account),
            to: values::device(to),
            row: 0,
            kind,
            reason,
            peer: values::address(peer),
            numbers,
            recent,
            count,
            created_at: values::time(now),
            turn: 0,
            sealed: false,
        };
        add_chunk(db, to, notice).await?;
    }
    Ok(())
}

/// Adds to the notice of the pair that was not read yet, if it has room; otherwise begins the next one.
async fn add_chunk(db: &Db, to: &DeviceAddress, mut notice: Notice) -> Result<(), DbError> {
    let mut of_pair = in_queue(to);
    of_pair.extend(doc! { "kind": notice.kind, "reason": notice.reason, "peer": &notice.peer });
    let mut open = of_pair.clone();
    open.insert("sealed", false);
    if notice.kind == EXPIRED {
        open.insert("count", doc! { "$lt": values::limit(NUMBERS_MAX) });
    }
    for tried in 1..=TRIES {
        if db.notices.update_one(open.clone(), more(&notice)).await?.matched_count == 1 {
            return Ok(());
        }
        let turns = db.notices.clone_with_type::<Turn>();
        let newest = turns.find_one(of_pair.clone()).sort(doc! { "turn": -1 }).projection(doc! { "turn": 1 }).await?;
        notice.turn = newest.map_or(1, |newest| newest.turn.saturating_add(1));
        if notice.row == 0 {
            notice.row = devices::next_row(db, to).await?;
        }
        match db.notices.insert_one(notice.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if is_duplicate(&error) => pause(tried).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(DbError::Contended)
}

/// The part of a notice that says which one of its pair it is.
#[derive(Deserialize)]
struct Turn {
    turn: i64,
}

/// The step that adds what a notice does not have yet.
fn more(notice: &Notice) -> Vec<Document> {
    let created_at = doc! { "$max": ["$created_at", notice.created_at] };
    if notice.kind == EXPIRED {
        let numbers = doc! { "$setUnion": ["$numbers", &notice.numbers] };
        return vec![
            doc! { "$set": { "numbers": numbers, "created_at": created_at } },
            doc! { "$set": { "count": { "$toLong": { "$size": "$numbers" } } } },
        ];
    }
    let new = doc! { "$setDifference": [&notice.recent, "$recent"] };
    let kept = values::number(RECENT_MAX).saturating_neg();
    vec![doc! { "$set": {
        "count": { "$add": ["$count", { "$toLong": { "$size": new.clone() } }] },
        "recent": { "$slice": [{ "$concatArrays": ["$recent", new] }, kept] },
        "created_at": created_at,
    } }]
}

/// Returns how many notices wait for this device, sealed or not.
pub(crate) async fn waiting(db: &Db, to: &DeviceAddress) -> Result<u64, DbError> {
    Ok(db.notices.count_documents(in_queue(to)).await?)
}

/// Returns up to `limit` notices for this device that are not in `delivered`, oldest first. New ones are sealed first;
/// what comes after that is for the next call.
pub(crate) async fn read(
    db: &Db,
    to: &DeviceAddress,
    delivered: &BTreeSet<RowId>,
    limit: usize,
) -> Result<Vec<QueueItem>, DbError> {
    let mut rest = in_queue(to);
    let (_, seen) = values::sequences(delivered.iter());
    if !seen.is_empty() {
        rest.insert("row", doc! { "$nin": seen });
    }
    let mut found = oldest(db, rest, limit).await?;
    let open: Vec<ObjectId> = found.iter().filter(|notice| !notice.sealed).map(|notice| notice.id).collect();
    if !open.is_empty() {
        let mut sealing = in_queue(to);
        sealing.insert("_id", doc! { "$in": &open });
        db.notices.update_many(sealing.clone(), doc! { "$set": { "sealed": true } }).await?;
        // Something may have been added in between.
        let mut sealed: BTreeMap<ObjectId, Notice> = BTreeMap::new();
        for notice in oldest(db, sealing, limit).await? {
            sealed.insert(notice.id, notice);
        }
        found.retain(|notice| notice.sealed || sealed.contains_key(&notice.id));
        for notice in &mut found {
            if let Some(as_sealed) = sealed.remove(&notice.id) {
                *notice = as_sealed;
            }
        }
    }
    found.iter().map(item).collect()
}

/// Returns the oldest notices that a filter finds.
async fn oldest(db: &Db, rest: Document, limit: usize) -> Result<Vec<Notice>, DbError> {
    let find = db.notices.find(rest).projection(doc! { "recent": 0 });
    Ok(find.sort(doc! { "row": 1 }).limit(values::limit(limit)).await?.try_collect().await?)
}

/// Returns a notice as the services know it.
fn item(notice: &Notice) -> Result<QueueItem, DbError> {
    let (id, peer) = (values::notice_row(notice.row), values::to_address(&notice.peer)?);
    match notice.kind {
        EXPIRED => {
            let numbers = notice.numbers.iter().map(|number| MessageNumber(number.cast_unsigned()));
            let mut numbers: Vec<_> = numbers.collect();
            numbers.sort_unstable();
            Ok(QueueItem::Expired { id, to: peer, numbers, reason: expiry(notice.reason)? })
        }
        MISSED => {
            let (count, reason) = (values::count(notice.count), miss(notice.reason)?);
            Ok(QueueItem::Missed { id, from: peer, count, reason })
        }
        _ => Err(DbError::Corrupt("a notice of an unknown kind")),
    }
}

/// Deletes sealed notices of this device. Returns how many still existed.
pub(crate) async fn acknowledge(db: &Db, to: &DeviceAddress, rows: Vec<i64>) -> Result<u64, DbError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let mut read = in_queue(to);
    read.extend(doc! { "row": { "$in": rows }, "sealed": true });
    Ok(db.notices.delete_many(read).await?.deleted_count)
}
