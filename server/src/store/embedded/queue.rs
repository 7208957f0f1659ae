//! Queues: connections, reading and deleting. Accepting is in `accept.rs`, expiry in `expiry.rs`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::{ConnectionEpoch, KeyEpoch, MessageNumber, RowId, SessionId};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::error::DbError;
use super::job::Class;
use super::rows::RowKey;
use super::writer::Tx;
use super::{EmbeddedStore, accept, notices, prekeys, rows};
use crate::store::queue::Filling;
use crate::store::{Accept, AcceptOutcome, ExpiredRows, OpenConnection, QueueItem, QueueStore, StoreError};

#[async_trait]
impl QueueStore for EmbeddedStore {
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError> {
        self.write(Class::Cached, move |tx| open_connection(tx, &address, session, generation, now)).await
    }

    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError> {
        self.write(Class::Cached, move |tx| {
            if let Some(dev) = tx.cache.listed(tx.db, &address)? {
                see(tx, dev, now)?;
            }
            Ok(())
        })
        .await
    }

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
            .read(move |db| match listed(db, &address)? {
                Some(dev) if notices::any_open(db, dev)? => Ok(None),
                Some(dev) => undelivered(db, dev, &first, rows_max, bytes_max).map(Some),
                None => Ok(Some(Vec::new())),
            })
            .await?;
        if let Some(items) = found {
            return Ok(items);
        }
        // New notices are sealed first. One that comes after that is for the next call.
        self.write(Class::Cached, move |tx| match tx.cache.listed(tx.db, &address)? {
            Some(dev) => notices::seal(tx.db, dev),
            None => Ok(()),
        })
        .await?;
        self.read(move |db| match listed(db, &address)? {
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
        self.write_soon(Class::Cached, move |tx| acknowledge(tx, &address, epoch, &ids)).await
    }

    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError> {
        self.sweep(before, now, limit).await
    }
}

fn open_connection(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    session: SessionId,
    generation: u32,
    now: UnixMillis,
) -> Result<OpenConnection, DbError> {
    let Some(dev) = tx.cache.listed(tx.db, address)? else { return Ok(OpenConnection::Refused) };
    let live = tx
        .db
        .prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1 AND dev = ?2 AND generation = ?3 AND ended = 0")?
        .exists(params![session.as_bytes(), dev, generation])?;
    if !live {
        return Ok(OpenConnection::Refused);
    }
    let device = tx.cache.device_mut(dev)?;
    device.connection_epoch =
        device.connection_epoch.checked_add(1).ok_or(DbError::Corrupt("a device has no connection epoch left"))?;
    see(tx, dev, now)?;
    let device = tx.cache.device(dev)?;
    let (epoch, queued, highest) = (device.connection_epoch, device.queue_messages, device.window.highest());
    let key_epoch = tx
        .db
        .prepare_cached("SELECT key_epoch FROM devices WHERE dev = ?1")?
        .query_row([dev], |row| rows::small(row, 0))?;
    Ok(OpenConnection::Opened {
        epoch: ConnectionEpoch(epoch),
        key_epoch: KeyEpoch(key_epoch),
        pending: queued.saturating_add(notices::waiting(tx.db, dev)?),
        highest_number: highest,
        one_time_left: prekeys::one_time_left(tx.db, dev)?,
    })
}

fn see(tx: &mut Tx<'_>, dev: i64, now: UnixMillis) -> Result<(), DbError> {
    let now = rows::time(now);
    if tx.cache.device(dev)?.last_seen_at < now {
        tx.cache.device_mut(dev)?.last_seen_at = now;
    }
    Ok(())
}

/// The device of a current list with this address, for readers.
pub(super) fn listed(db: &Connection, address: &DeviceAddress) -> Result<Option<i64>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev FROM devices WHERE account_id = ?1 AND device_id = ?2 AND listed = 1 AND registration = ?3",
    )?;
    let address = params![address.account.as_bytes(), address.device.get(), address.registration.as_bytes()];
    Ok(select.query_row(address, |row| row.get(0)).optional()?)
}

/// Notices first: there are few, and a full queue must not keep them back. Then messages, oldest first.
fn undelivered(
    db: &Connection,
    dev: i64,
    delivered: &BTreeSet<RowId>,
    rows_max: usize,
    bytes_max: usize,
) -> Result<Vec<QueueItem>, DbError> {
    let mut filling = Filling::new(rows_max, bytes_max);
    notices::read(db, dev, |item| delivered.contains(&item.id()) || filling.add(item))?;
    let (first, last) = rows::queue_range(dev).ok_or(DbError::Corrupt("a device key out of range"))?;
    // By the order of accepting, whatever the clock said at the time.
    let order = if without(Countermeasure::ClocklessOrder) { "queue.accepted_at" } else { "queue.id" };
    let mut select = db.prepare_cached(&format!(
        "SELECT queue.id, devices.account_id, devices.device_id, devices.registration, queue.number, \
         queue.accepted_at, queue.ciphertext FROM queue LEFT JOIN devices ON devices.dev = queue.sender_dev \
         WHERE queue.id BETWEEN ?1 AND ?2 ORDER BY {order}",
    ))?;
    let mut found = select.query([first, last])?;
    while let Some(row) = found.next()? {
        let id = rows::queue_row(row.get(0)?);
        if delivered.contains(&id) {
            continue;
        }
        let item = QueueItem::Message {
            id,
            from: rows::address(row, 1)?,
            number: MessageNumber(rows::bits(row, 4)?),
            accepted_at: rows::millis(row.get(5)?),
            ciphertext: row.get::<_, Vec<u8>>(6)?.into(),
        };
        if !filling.add(item) {
            break;
        }
    }
    Ok(filling.items())
}

fn acknowledge(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    epoch: ConnectionEpoch,
    ids: &[RowId],
) -> Result<Option<u64>, DbError> {
    let Some(dev) = tx.cache.listed(tx.db, address)? else { return Ok(None) };
    if !without(Countermeasure::ConnectionEpoch) && tx.cache.device(dev)?.connection_epoch != epoch.0 {
        return Ok(None);
    }
    let (mut sequences, mut deleted) = (Vec::with_capacity(ids.len()), 0_u64);
    for id in ids {
        match rows::row_key(*id) {
            Some(RowKey::Queue(sequence)) => sequences.push(sequence),
            Some(RowKey::Notice(notice)) => {
                let gone = tx
                    .db
                    .prepare_cached("DELETE FROM notices WHERE notice_id = ?1 AND dev = ?2 AND sealed = 1")?
                    .execute([notice, dev])?;
                deleted = deleted.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
            }
            None => {}
        }
    }
    sequences.sort_unstable();
    sequences.dedup();
    // A client acks what it was given, so most ids are neighbours: one statement for each run of them.
    for run in sequences.chunk_by(|earlier, later| earlier.checked_add(1) == Some(*later)) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            deleted = deleted.saturating_add(delete_run(tx, dev, *first, *last)?);
        }
    }
    Ok(Some(deleted))
}

fn delete_run(tx: &mut Tx<'_>, dev: i64, first: u64, last: u64) -> Result<u64, DbError> {
    let (Some(first), Some(last)) = (rows::queue_id(dev, first), rows::queue_id(dev, last)) else { return Ok(0) };
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let mut delete = tx
        .db
        .prepare_cached("DELETE FROM queue WHERE id BETWEEN ?1 AND ?2 RETURNING sender_dev, length(ciphertext)")?;
    let mut deleted = delete.query([first, last])?;
    while let Some(row) = deleted.next()? {
        let length = rows::count(row, 1)?;
        tx.cache.share_shrank(dev, row.get(0)?, length);
        messages = messages.saturating_add(1);
        bytes = bytes.saturating_add(length);
    }
    *tx.erased = tx.erased.saturating_add(bytes);
    if messages > 0 {
        let device = tx.cache.device_mut(dev)?;
        device.queue_messages = counted_down(device.queue_messages, messages)?;
        device.queue_bytes = counted_down(device.queue_bytes, bytes)?;
    }
    Ok(messages)
}

fn counted_down(counter: u64, by: u64) -> Result<u64, DbError> {
    counter.checked_sub(by).ok_or(DbError::Corrupt("a queue's counter is below what the queue holds"))
}
