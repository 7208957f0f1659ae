//! Queues: connections, reading and deleting. Accepting is in `accept.rs`, expiry in `expiry.rs`.
//!
//! `next` of a device's document numbers the rows of its queue; `messages` and `bytes` count them. Room is taken there before
//! a row is written and given back after it was deleted, so that what is counted is never less than what is there. Where
//! it may be more, because something broke off between, the queue is marked, and its rows are counted again once it has been
//! still for a moment. What a crash leaves unmarked is found by counting the fullest queues again once in a while.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId, SessionId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::documents::{Hot, Row, RowHead, in_queue, of_device};
use super::error::{DbError, is_duplicate};
use super::{Db, MongoStore, expiry, notices, prekeys, sessions, values};
use crate::store::queue::Filling;
use crate::store::{Accept, AcceptOutcome, ExpiredRows, OpenConnection, QueueItem, QueueStore, StoreError};

/// Rows that one delete names.
const DELETE_MAX: usize = 1_000;
/// Rows that one answer of the database holds: at most 6 MiB.
const READ_BATCH: u32 = 64;

#[async_trait]
impl QueueStore for MongoStore {
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError> {
        let opened = open_connection(&self.db, &address, session, generation, now);
        Ok(tokio::try_join!(opened, self.read_store_id())?.0)
    }

    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError> {
        let seen = doc! { "$max": { "last_seen_at": values::time(now) } };
        self.db.devices.update_one(of_device(&address), seen).await.map_err(DbError::from)?;
        Ok(())
    }

    async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError> {
        self.accepting.accept(accept, now).await
    }

    async fn undelivered(
        &self,
        address: DeviceAddress,
        delivered: &BTreeSet<RowId>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError> {
        Ok(undelivered(&self.db, &address, delivered, rows_max, bytes_max).await?)
    }

    async fn acknowledge(
        &self,
        address: DeviceAddress,
        epoch: ConnectionEpoch,
        ids: Vec<RowId>,
    ) -> Result<Option<u64>, StoreError> {
        self.acking.acknowledge(address, epoch, &ids).await
    }

    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError> {
        Ok(expiry::sweep(&self.db, before, now, limit).await?)
    }
}

/// Makes the document of a device that has never done anything, unless it is there.
pub(super) async fn ensure(db: &Db, address: &DeviceAddress, since: i64) -> Result<(), DbError> {
    match db.devices.insert_one(Hot::new(address, since)).await {
        Err(error) if !is_duplicate(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

async fn open_connection(
    db: &Db,
    address: &DeviceAddress,
    session: SessionId,
    generation: u32,
    now: UnixMillis,
) -> Result<OpenConnection, DbError> {
    let Some(account) = db.account(address.account).await? else { return Ok(OpenConnection::Refused) };
    let device = account.devices.iter().find(|device| {
        device.id == i32::from(address.device.get()) && device.registration.bytes == address.registration.as_bytes()
    });
    let live = sessions::is_live(&account, address, session, generation);
    let Some(device) = device.filter(|_| live) else { return Ok(OpenConnection::Refused) };
    let next = || doc! { "$inc": { "epoch": 1_i64 }, "$max": { "last_seen_at": values::time(now) } };
    let bump = || db.devices.find_one_and_update(of_device(address), next()).return_document(ReturnDocument::After);
    let hot = match bump().await? {
        Some(hot) => Some(hot),
        None => {
            ensure(db, address, device.since).await?;
            bump().await?
        }
    };
    let hot = hot.ok_or(DbError::Corrupt("a device whose document vanished"))?;
    let rows = async { Ok::<u64, DbError>(db.queue.count_documents(in_queue(address)).await?) };
    let (rows, notices, keys) = tokio::try_join!(rows, notices::waiting(db, address), prekeys::of(db, address))?;
    Ok(OpenConnection::Opened {
        epoch: ConnectionEpoch(hot.epoch.cast_unsigned()),
        key_epoch: prekeys::key_epoch(&keys),
        pending: rows.saturating_add(notices),
        highest_number: MessageNumber(hot.highest.cast_unsigned()),
        one_time_left: u32::try_from(keys.one_time.len()).unwrap_or(u32::MAX),
    })
}

/// The sequence of the next row in a device's queue.
pub(super) async fn next_row(db: &Db, address: &DeviceAddress) -> Result<i64, DbError> {
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

/// Notices first: there are few, and a full queue must not keep them back. Then messages, oldest first. Both are read at once.
async fn undelivered(
    db: &Db,
    address: &DeviceAddress,
    delivered: &BTreeSet<RowId>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Vec<QueueItem>, DbError> {
    let mut filling = Filling::new(rows_max, bytes_max);
    if filling.is_full() {
        return Ok(Vec::new());
    }
    let (notices, messages) = tokio::try_join!(
        notices::read(db, address, delivered, rows_max),
        messages(db, address, delivered, rows_max, bytes_max)
    )?;
    for item in notices.into_iter().chain(messages) {
        if !filling.add(item) {
            break;
        }
    }
    Ok(filling.items())
}

async fn messages(
    db: &Db,
    address: &DeviceAddress,
    delivered: &BTreeSet<RowId>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Vec<QueueItem>, DbError> {
    let mut filling = Filling::new(rows_max, bytes_max);
    let mut rest = in_queue(address);
    let (seen, _) = values::sequences(delivered);
    if !seen.is_empty() {
        rest.insert("row", doc! { "$nin": seen });
    }
    // By the order of accepting, whatever the clock said at the time.
    let order = if without(Countermeasure::ClocklessOrder) {
        doc! { "accepted_at": 1 }
    } else {
        doc! { "row": 1 }
    };
    let rows = values::limit(rows_max);
    let mut found = db.queue.find(rest).sort(order).limit(rows).batch_size(READ_BATCH).await?;
    while let Some(row) = found.try_next().await? {
        if !filling.add(message(row)?) {
            break;
        }
    }
    Ok(filling.items())
}

fn message(row: Row) -> Result<QueueItem, DbError> {
    Ok(QueueItem::Message {
        id: values::message_row(row.row),
        from: values::to_address(&row.from)?,
        number: MessageNumber(row.number.cast_unsigned()),
        accepted_at: values::millis(row.accepted_at),
        ciphertext: row.ciphertext.bytes.into(),
    })
}

/// Whether the device has a newer connection than this. A database that knows only older ones has not caught up yet: it
/// confirmed this one.
pub(super) fn is_superseded(stored: i64, epoch: ConnectionEpoch) -> Result<bool, DbError> {
    match stored.cast_unsigned().cmp(&epoch.0) {
        Ordering::Greater => Ok(true),
        Ordering::Equal => Ok(false),
        Ordering::Less => Err(DbError::Behind),
    }
}

/// Rows of a queue, by their sequences, without their messages.
pub(super) async fn heads(db: &Db, address: &DeviceAddress, sequences: &[i64]) -> Result<Vec<RowHead>, DbError> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = in_queue(address);
    rows.insert("row", doc! { "$in": sequences });
    let heads = db.queue.clone_with_type::<RowHead>();
    Ok(heads.find(rows).projection(RowHead::projection()).await?.try_collect().await?)
}

/// What was deleted from a queue.
#[derive(Clone, Copy, Default)]
pub(super) struct Removed {
    pub(super) rows: u64,
    /// Their bytes, or fewer.
    pub(super) bytes: i64,
}

/// Deletes rows of one queue, and leaves it to the caller to give back their room; how many there still were.
pub(super) async fn remove_rows(db: &Db, address: &DeviceAddress, rows: &[RowHead]) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    for chunk in rows.chunks(DELETE_MAX) {
        // An answer that does not come leaves open whether there is room to give back.
        let doubt = db.doubt([*address]);
        let sequences: Vec<i64> = chunk.iter().map(|row| row.row).collect();
        let mut these = in_queue(address);
        these.insert("row", doc! { "$in": sequences });
        let gone = db.queue.delete_many(these).await?.deleted_count;
        let mut sizes: Vec<i64> = chunk.iter().map(|row| row.bytes).collect();
        let all = usize::try_from(gone).is_ok_and(|gone| gone == chunk.len());
        if !all {
            // Another was faster with some of them, and gives back as much.
            sizes.sort_unstable();
            sizes.truncate(usize::try_from(gone).unwrap_or(usize::MAX));
        }
        if all || gone == 0 {
            doubt.resolve();
        }
        removed.rows = removed.rows.saturating_add(gone);
        removed.bytes = sizes.into_iter().fold(removed.bytes, i64::saturating_add);
    }
    Ok(removed)
}

/// Deletes rows of one queue and gives back their room; how many there still were.
pub(super) async fn delete_rows(db: &Db, address: &DeviceAddress, rows: &[RowHead]) -> Result<u64, DbError> {
    let removed = remove_rows(db, address, rows).await?;
    if removed.rows > 0 {
        let doubt = db.doubt([*address]);
        let less = less(values::number(removed.rows), removed.bytes);
        db.devices.update_one(of_device(address), less).await?;
        doubt.resolve();
    }
    Ok(removed.rows)
}

/// The step that gives back room that was taken.
pub(super) fn less(rows: i64, bytes: i64) -> Document {
    doc! { "$inc": { "messages": rows.saturating_neg(), "bytes": bytes.saturating_neg() } }
}

/// Rows and bytes in a queue, or of some senders in it.
pub(super) async fn count(db: &Db, rows: Document) -> Result<(i64, i64), DbError> {
    let sum = vec![
        doc! { "$match": rows },
        doc! { "$group": { "_id": null, "rows": { "$sum": 1_i64 }, "bytes": { "$sum": "$bytes" } } },
    ];
    let mut found = db.queue.aggregate(sum).await?;
    let Some(sum) = found.next().await.transpose()? else { return Ok((0, 0)) };
    let of = |name| match sum.get(name) {
        Some(mongodb::bson::Bson::Int64(value)) => Ok(*value),
        Some(mongodb::bson::Bson::Int32(value)) => Ok(i64::from(*value)),
        _ => Err(DbError::Corrupt("a sum that is no number")),
    };
    Ok((of("rows")?, of("bytes")?))
}
