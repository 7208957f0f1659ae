//! Notices: what a device must be told besides its messages. They lie beside the queue, outside its quotas.
//!
//! They are merged per pair of devices, kind and reason while nobody has read them. Once read for delivery a notice is
//! *sealed*: what comes later begins a new one, so that the ack of what was read deletes just that.
//!
//! Writing the same twice changes nothing: a notice about own messages holds all their numbers, which a queue's quota
//! bounds; one about others' messages counts, and holds the numbers that it counted last. A sender's window accepts no
//! number again that lies further back.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_api::limits::NUMBER_WINDOW;
use sealpost_crypto::{DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::documents::{Notice, in_queue};
use super::error::{DbError, is_duplicate};
use super::{Db, TRIES, pause, queue, values};
use crate::store::{QueueItem, reasons};

/// Numbers of own messages from which on a notice takes no more: it stays far below a frame's limit.
const NUMBERS_MAX: i64 = 4_096;
/// Numbers that are added to a notice at once.
const ADDED_MAX: usize = 1_024;
/// Numbers of others' messages that a notice remembers to have counted: as many as a window tells apart.
const RECENT_MAX: u64 = NUMBER_WINDOW;
/// `kind` of a notice about own messages.
const EXPIRED: i32 = 1;
/// `kind` of a notice about others' messages.
const MISSED: i32 = 2;

/// The reason that a code stands for.
pub(super) fn expiry(code: i32) -> Result<ExpiryReason, DbError> {
    reasons::expiry(code).ok_or(DbError::Corrupt("a notice with an unknown reason"))
}

fn miss(code: i32) -> Result<MissedReason, DbError> {
    reasons::missed(code).ok_or(DbError::Corrupt("a notice with an unknown reason"))
}

/// Tells `to` that these messages of `from` are not kept for it.
pub(super) async fn missed(
    db: &Db,
    to: &DeviceAddress,
    from: &DeviceAddress,
    numbers: &[MessageNumber],
    reason: MissedReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    add(db, to, (MISSED, reasons::missed_code(reason)), from, numbers, now).await
}

/// Tells `sender` that its messages with these numbers will not reach `to`.
pub(super) async fn expired(
    db: &Db,
    sender: &DeviceAddress,
    to: &DeviceAddress,
    numbers: &[MessageNumber],
    reason: ExpiryReason,
    now: UnixMillis,
) -> Result<(), DbError> {
    add(db, sender, (EXPIRED, reasons::expiry_code(reason)), to, numbers, now).await
}

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

/// Adds to the notice of the pair that nobody has read, if there is one with room; else this one follows.
async fn add_chunk(db: &Db, to: &DeviceAddress, mut notice: Notice) -> Result<(), DbError> {
    let mut of_pair = in_queue(to);
    of_pair.extend(doc! { "kind": notice.kind, "reason": notice.reason, "peer": &notice.peer });
    let mut open = of_pair.clone();
    open.insert("sealed", false);
    if notice.kind == EXPIRED {
        open.insert("count", doc! { "$lt": NUMBERS_MAX });
    }
    for tried in 1..=TRIES {
        if db.notices.update_one(open.clone(), more(&notice)).await?.matched_count == 1 {
            return Ok(());
        }
        let turns = db.notices.clone_with_type::<Turn>();
        let newest = turns.find_one(of_pair.clone()).sort(doc! { "turn": -1 }).projection(doc! { "turn": 1 }).await?;
        notice.turn = newest.map_or(1, |newest| newest.turn.saturating_add(1));
        if notice.row == 0 {
            notice.row = queue::next_row(db, to).await?;
        }
        match db.notices.insert_one(notice.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if is_duplicate(&error) => pause(tried).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(DbError::Contended)
}

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

/// How many wait for this device, sealed or not.
pub(super) async fn waiting(db: &Db, to: &DeviceAddress) -> Result<u64, DbError> {
    Ok(db.notices.count_documents(in_queue(to)).await?)
}

/// The oldest for this device that are not in `delivered`, at most `limit`. Those that are new are sealed first; what comes
/// after that is for the next call.
pub(super) async fn read(
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
        // Something may have been added between.
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

async fn oldest(db: &Db, rest: Document, limit: usize) -> Result<Vec<Notice>, DbError> {
    let find = db.notices.find(rest).projection(doc! { "recent": 0 });
    Ok(find.sort(doc! { "row": 1 }).limit(values::limit(limit)).await?.try_collect().await?)
}

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

/// Deletes sealed notices of this device; how many there still were.
pub(super) async fn acknowledge(db: &Db, to: &DeviceAddress, rows: Vec<i64>) -> Result<u64, DbError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let mut read = in_queue(to);
    read.extend(doc! { "row": { "$in": rows }, "sealed": true });
    Ok(db.notices.delete_many(read).await?.deleted_count)
}
