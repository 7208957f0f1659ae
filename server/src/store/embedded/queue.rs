//! Reading queues. Accepting, acknowledging and expiry have files of their own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::Connection;
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, or_planted};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{columns, devices, notices, row_ids};
use super::threads::job::Class;
use super::{accept, acknowledge, expiry};
use crate::domain::accepting::Accept;
use crate::store::error::StoreError;
use crate::store::filling::Filling;
use crate::store::queue::{AcceptOutcome, ExpiredRows, QueueItem, QueueStore};

#[async_trait]
impl QueueStore for EmbeddedStore {
    async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError> {
        let bytes = accept.send.copies.iter().map(|copy| copy.ciphertext.len()).sum();
        self.write_bytes(Class::Cached, bytes, move |tx| accept::accept(tx, &accept, now)).await
    }

    async fn undelivered(
        &self,
        address: DeviceAddress,
        delivered: &BTreeSet<RowId>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError> {
        let (first, again) = (delivered.clone(), delivered.clone());
        let found = self
            .read(move |db| match devices::listed(db, &address)? {
                Some(dev) if notices::any_open(db, dev)? => Ok(None),
                Some(dev) => undelivered(db, dev, &first, rows_max, bytes_max).map(Some),
                None => Ok(Some(Vec::new())),
            })
            .await?;
        if let Some(items) = found {
            return Ok(items);
        }
        // New notices are sealed first. A notice that comes after that is for the next call.
        self.write(Class::Cached, move |tx| match tx.cache.listed(tx.db, &address)? {
            Some(dev) => notices::seal(tx.db, dev),
            None => Ok(()),
        })
        .await?;
        self.read(move |db| match devices::listed(db, &address)? {
            Some(dev) => undelivered(db, dev, &again, rows_max, bytes_max),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn acknowledge(
        &self,
        address: DeviceAddress,
        epoch: ConnectionEpoch,
        ids: Vec<RowId>,
    ) -> Result<Option<u64>, StoreError> {
        self.write_soon(Class::Cached, move |tx| acknowledge::acknowledge(tx, &address, epoch, &ids)).await
    }

    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError> {
        expiry::sweep(self, before, now, limit).await
    }
}

/// Reads notices first, because there are few and a full queue must not hold them back; then messages, oldest first.
fn undelivered(
    db: &Connection,
    dev: i64,
    delivered: &BTreeSet<RowId>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Vec<QueueItem>, DbError> {
    let mut filling = Filling::new(rows_max, bytes_max);
    notices::read(db, dev, |item| delivered.contains(&item.id()) || filling.add(item))?;
    let (first, last) = row_ids::queue_range(dev)?;
    // In the order of accepting, whatever the clock said.
    let order = or_planted(Countermeasure::ClocklessOrder, "queue.id", "queue.accepted_at");
    let mut select = db.prepare_cached(&format!(
        "SELECT queue.id, devices.account_id, devices.device_id, devices.registration, queue.number, \
         queue.accepted_at, queue.ciphertext FROM queue LEFT JOIN devices ON devices.dev = queue.sender_dev \
         WHERE queue.id BETWEEN ?1 AND ?2 ORDER BY {order}",
    ))?;
    let mut found = select.query([first, last])?;
    while let Some(row) = found.next()? {
        let id = row_ids::queue_row(row.get(0)?);
        if delivered.contains(&id) {
            continue;
        }
        let item = QueueItem::Message {
            id,
            from: columns::address(row, 1)?,
            number: MessageNumber(columns::bits(row, 4)?),
            accepted_at: columns::millis(row.get(5)?),
            ciphertext: row.get::<_, Vec<u8>>(6)?.into(),
        };
        if !filling.add(item) {
            break;
        }
    }
    Ok(filling.items())
}
