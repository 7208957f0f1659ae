//! Notices: what a device must be told besides its messages. They lie beside the queue, outside its quotas.
//!
//! They are merged per pair of devices, kind and reason while nobody has read them. Once read for delivery a notice is
//! *sealed*: what comes later begins a new one, so that the ack of what was read deletes just that. A notice holds the
//! numbers of the messages that it is about as a set, so that writing it twice changes nothing.

use futures_util::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::documents::{Notice, in_queue};
use super::error::{DbError, is_duplicate};
use super::{Db, TRIES, pause, queue, values};
use crate::store::QueueItem;

/// Numbers that are added to a notice at once, and from which on it takes no more: it stays far below a frame's limit.
const NUMBERS_MAX: usize = 4_096;
/// `kind` of a notice about own messages.
const EXPIRED: i32 = 1;
/// `kind` of a notice about others' messages.
const MISSED: i32 = 2;

/// How a reason is stored.
pub(super) const fn expiry_code(reason: ExpiryReason) -> i32 {
    match reason {
        ExpiryReason::Expired => 1,
        ExpiryReason::DeviceRemoved => 2,
        ExpiryReason::AccountDeleted => 3,
    }
}

const fn missed_code(reason: MissedReason) -> i32 {
    match reason {
        MissedReason::QueueFull => 1,
        MissedReason::Dormant => 2,
        MissedReason::Expired => 3,
    }
}

/// The reason that a code stands for.
pub(super) fn expiry(code: i32) -> Result<ExpiryReason, DbError> {
    [ExpiryReason::Expired, ExpiryReason::DeviceRemoved, ExpiryReason::AccountDeleted]
        .into_iter()
        .find(|reason| expiry_code(*reason) == code)
        .ok_or(DbError::Corrupt("a notice with an unknown reason"))
}

fn miss(code: i32) -> Result<MissedReason, DbError> {
    [MissedReason::QueueFull, MissedReason::Dormant, MissedReason::Expired]
        .into_iter()
        .find(|reason| missed_code(*reason) == code)
        .ok_or(DbError::Corrupt("a notice with an unknown reason"))
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
    add(db, to, (MISSED, missed_code(reason)), from, numbers, now).await
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
    add(db, sender, (EXPIRED, expiry_code(reason)), to, numbers, now).await
}

async fn add(
    db: &Db,
    to: &DeviceAddress,
    (kind, reason): (i32, i32),
    peer: &DeviceAddress,
    numbers: &[MessageNumber],
    now: UnixMillis,
) -> Result<(), DbError> {
    for chunk in numbers.chunks(NUMBERS_MAX) {
        let chunk: Vec<i64> = chunk.iter().map(|number| number.0.cast_signed()).collect();
        let mut of_pair = in_queue(to);
        of_pair.extend(doc! { "kind": kind, "reason": reason, "peer": values::address(peer) });
        let notice = Notice {
            id: ObjectId::new(),
            account: values::account(to.account),
            to: values::device(to),
            row: 0,
            kind,
            reason,
            peer: values::address(peer),
            numbers: chunk,
            created_at: values::time(now),
            turn: 0,
            sealed: false,
        };
        add_chunk(db, to, of_pair, notice).await?;
    }
    Ok(())
}

/// Adds to the newest notice of the pair if nobody has read it and it has room; else it is followed by this one.
async fn add_chunk(db: &Db, to: &DeviceAddress, of_pair: Document, mut notice: Notice) -> Result<(), DbError> {
    for tried in 1..=TRIES {
        let newest = db.notices.find_one(of_pair.clone()).sort(doc! { "turn": -1 }).await?;
        if let Some(open) = newest.as_ref().filter(|open| !open.sealed && open.numbers.len() < NUMBERS_MAX) {
            let more = doc! {
                "$addToSet": { "numbers": { "$each": notice.numbers.clone() } },
                "$set": { "created_at": notice.created_at },
            };
            let open = doc! { "_id": open.id, "account": &open.account, "sealed": false };
            if db.notices.update_one(open, more).await?.matched_count == 1 {
                return Ok(());
            }
        } else {
            notice.turn = newest.map_or(1, |newest| newest.turn.saturating_add(1));
            if notice.row == 0 {
                notice.row = queue::next_row(db, to).await?;
            }
            match db.notices.insert_one(notice.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        pause(tried).await;
    }
    Err(DbError::Contended)
}

/// From now on it does not change.
async fn seal(db: &Db, notice: &Notice) -> Result<(), DbError> {
    let open = doc! { "_id": notice.id, "account": &notice.account };
    db.notices.update_one(open, doc! { "$set": { "sealed": true } }).await?;
    Ok(())
}

/// How many wait for this device, sealed or not.
pub(super) async fn waiting(db: &Db, to: &DeviceAddress) -> Result<u64, DbError> {
    Ok(db.notices.count_documents(in_queue(to)).await?)
}

/// All that wait for this device, oldest first. Those that are new are sealed first; one that comes after that is for the
/// next call.
pub(super) async fn read(db: &Db, to: &DeviceAddress) -> Result<Vec<QueueItem>, DbError> {
    let mut found = all(db, to).await?;
    if found.iter().any(|notice| !notice.sealed) {
        for notice in found.iter().filter(|notice| !notice.sealed) {
            seal(db, notice).await?;
        }
        found = all(db, to).await?;
    }
    found.iter().filter(|notice| notice.sealed).map(item).collect()
}

async fn all(db: &Db, to: &DeviceAddress) -> Result<Vec<Notice>, DbError> {
    Ok(db.notices.find(in_queue(to)).sort(doc! { "row": 1 }).await?.try_collect().await?)
}

fn item(notice: &Notice) -> Result<QueueItem, DbError> {
    let (id, peer) = (values::notice_row(notice.row), values::to_address(&notice.peer)?);
    let mut numbers: Vec<_> = notice.numbers.iter().map(|number| MessageNumber(number.cast_unsigned())).collect();
    numbers.sort_unstable();
    match notice.kind {
        EXPIRED => Ok(QueueItem::Expired { id, to: peer, numbers, reason: expiry(notice.reason)? }),
        MISSED => {
            let count = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
            Ok(QueueItem::Missed { id, from: peer, count, reason: miss(notice.reason)? })
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
