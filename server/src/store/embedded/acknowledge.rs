//! Acknowledging: deleting what a device has received.

use sealpost_api::ids::{ConnectionEpoch, RowId};
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, refuses};

use super::error::DbError;
use super::tables::columns;
use super::tables::row_ids::{self, RowKey};
use super::threads::tx::Tx;

/// See [`QueueStore::acknowledge`](crate::store::QueueStore::acknowledge).
pub(super) fn acknowledge(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    epoch: ConnectionEpoch,
    ids: &[RowId],
) -> Result<Option<u64>, DbError> {
    let Some(dev) = tx.cache.listed(tx.db, address)? else { return Ok(None) };
    if refuses(Countermeasure::ConnectionEpoch, tx.cache.device(dev)?.connection_epoch != epoch.0) {
        return Ok(None);
    }
    let (mut sequences, mut deleted) = (Vec::with_capacity(ids.len()), 0_u64);
    for id in ids {
        match row_ids::row_key(*id) {
            Some(RowKey::Queue(sequence)) => sequences.push(sequence),
            Some(RowKey::Notice(notice)) => {
                let gone = tx
                    .db
                    .prepare_cached("DELETE FROM notices WHERE notice_id = ?1 AND dev = ?2 AND sealed = 1")?
                    .execute([notice, dev])?;
                deleted = deleted.saturating_add(columns::changed(gone));
            }
            None => {}
        }
    }
    sequences.sort_unstable();
    sequences.dedup();
    // A client acks what it was given, so most ids are consecutive: one statement deletes each run of them.
    for run in sequences.chunk_by(|earlier, later| earlier.checked_add(1) == Some(*later)) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            deleted = deleted.saturating_add(delete_run(tx, dev, *first, *last)?);
        }
    }
    Ok(Some(deleted))
}

/// Deletes the rows with sequences from `first` to `last`. Returns how many there were.
fn delete_run(tx: &mut Tx<'_>, dev: i64, first: u64, last: u64) -> Result<u64, DbError> {
    let (Some(first), Some(last)) = (row_ids::queue_id(dev, first), row_ids::queue_id(dev, last)) else { return Ok(0) };
    let (mut messages, mut bytes) = (0_u64, 0_u64);
    let mut delete = tx
        .db
        .prepare_cached("DELETE FROM queue WHERE id BETWEEN ?1 AND ?2 RETURNING sender_dev, length(ciphertext)")?;
    let mut deleted = delete.query([first, last])?;
    while let Some(row) = deleted.next()? {
        let length = columns::count(row, 1)?;
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

/// Returns a counter less what was deleted.
fn counted_down(counter: u64, by: u64) -> Result<u64, DbError> {
    counter.checked_sub(by).ok_or(DbError::Corrupt("a queue's counter is below what the queue holds"))
}
