//! Rows of queues: reading, counting and deleting them.

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, doc};
use sealpost_crypto::DeviceAddress;

use super::devices::less;
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::devices::{in_queue, of_device};
use crate::store::mongodb::documents::queue::RowHead;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// Rows that one delete names.
const DELETE_MAX: usize = 1_000;

/// Returns the rows of a queue with these sequences, without their ciphertexts.
pub(crate) async fn heads(db: &Db, address: &DeviceAddress, sequences: &[i64]) -> Result<Vec<RowHead>, DbError> {
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
pub(crate) struct Removed {
    pub(crate) rows: u64,
    /// Their bytes, or less.
    pub(crate) bytes: i64,
}

/// Deletes rows of one queue. Returns how many still existed. The caller releases their room.
pub(crate) async fn remove_rows(db: &Db, address: &DeviceAddress, rows: &[RowHead]) -> Result<Removed, DbError> {
    let mut removed = Removed::default();
    for chunk in rows.chunks(DELETE_MAX) {
        // Without an answer it is unknown whether there is room to release.
        let doubt = db.doubt([*address]);
        let sequences: Vec<i64> = chunk.iter().map(|row| row.row).collect();
        let mut these = in_queue(address);
        these.insert("row", doc! { "$in": sequences });
        let gone = db.queue.delete_many(these).await?.deleted_count;
        let mut sizes: Vec<i64> = chunk.iter().map(|row| row.bytes).collect();
        let all = usize::try_from(gone).is_ok_and(|gone| gone == chunk.len());
        if !all {
            // Another operation was faster with some of them, and releases their room. Which ones is unknown.
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

/// Deletes rows of one queue and releases their room. Returns how many still existed.
pub(crate) async fn delete_rows(db: &Db, address: &DeviceAddress, rows: &[RowHead]) -> Result<u64, DbError> {
    let removed = remove_rows(db, address, rows).await?;
    if removed.rows > 0 {
        let doubt = db.doubt([*address]);
        let less = less(values::number(removed.rows), removed.bytes);
        db.devices.update_one(of_device(address), less).await?;
        doubt.resolve();
    }
    Ok(removed.rows)
}

/// Returns the rows and bytes in a queue, or of some senders in it.
pub(crate) async fn count(db: &Db, rows: Document) -> Result<(i64, i64), DbError> {
    let sum = vec![
        doc! { "$match": rows },
        doc! { "$group": { "_id": null, "rows": { "$sum": 1_i64 }, "bytes": { "$sum": "$bytes" } } },
    ];
    let mut found = db.queue.aggregate(sum).await?;
    let Some(sum) = found.next().await.transpose()? else { return Ok((0, 0)) };
    let of = |name| match sum.get(name) {
        Some(Bson::Int64(value)) => Ok(*value),
        Some(Bson::Int32(value)) => Ok(i64::from(*value)),
        _ => Err(DbError::Corrupt("a sum that is no number")),
    };
    Ok((of("rows")?, of("bytes")?))
}
