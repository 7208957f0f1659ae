//! Reading queues. Accepting, acknowledging and expiry have files of their own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, or_planted};

use super::collections::notices;
use super::db::Db;
use super::documents::devices::in_queue;
use super::documents::queue::Row;
use super::error::DbError;
use super::store::MongoStore;
use super::{expiry, values};
use crate::domain::accepting::Accept;
use crate::store::error::StoreError;
use crate::store::filling::Filling;
use crate::store::queue::{AcceptOutcome, ExpiredRows, QueueItem, QueueStore};

/// Rows in one answer of the database: at most 6 MiB.
const READ_BATCH: u32 = 64;

#[async_trait]
impl QueueStore for MongoStore {
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

/// Returns notices first, because there are few and a full queue must not hold them back; then messages, oldest first.
/// Reads both at once.
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

/// Returns the oldest messages that are not in `delivered`.
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
    // In the order of accepting, whatever the clock said.
    let order = or_planted(Countermeasure::ClocklessOrder, doc! { "row": 1 }, doc! { "accepted_at": 1 });
    let rows = values::limit(rows_max);
    let mut found = db.queue.find(rest).sort(order).limit(rows).batch_size(READ_BATCH).await?;
    while let Some(row) = found.try_next().await? {
        if !filling.add(message(row)?) {
            break;
        }
    }
    Ok(filling.items())
}

/// Returns a row as the services know it.
fn message(row: Row) -> Result<QueueItem, DbError> {
    Ok(QueueItem::Message {
        id: values::message_row(row.row),
        from: values::to_address(&row.from)?,
        number: MessageNumber(row.number.cast_unsigned()),
        accepted_at: values::millis(row.accepted_at),
        ciphertext: row.ciphertext.bytes.into(),
    })
}
