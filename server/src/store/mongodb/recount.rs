//! Counting again the queues whose counters may be too high.
//!
//! A counter is never below what the queue holds. It is above by what is being written, or was deleted and not released
//! yet. So a correction needs two counts that agree, with nothing in between for longer than any operation takes.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::collections::rows;
use super::db::Db;
use super::documents::devices::{Hot, in_queue, of_device};
use super::error::DbError;
use super::suspect::Suspect;
use super::values;

/// Queues of each kind that are counted in one go.
const COUNTED_MAX: i64 = 1_000;

/// For how long, in ms, room may be reserved without its row, or a row be deleted without its room being released.
/// Operations give up after half a minute.
const SETTLED_MILLIS: u64 = 120_000;

/// A queue that is not empty and not in doubt is counted again this long after the last time, in ms.
const COUNT_AGAIN_MILLIS: u64 = 3_600_000;

/// Counts the queues in doubt where nothing is under way, and now and then the fullest of the others.
pub(super) async fn recount(db: &Db, now: UnixMillis) -> Result<(), DbError> {
    let settled = doc! { "$lt": values::time(now.saturating_sub(SETTLED_MILLIS)) };
    let in_doubt = doc! { "recount_at": { "$gt": 0_i64 }, "reserved_at": settled.clone() };
    let full = doc! {
        "bytes": { "$gt": 0_i64 },
        "reserved_at": settled,
        "counted_at": { "$lt": values::time(now.saturating_sub(COUNT_AGAIN_MILLIS)) },
    };
    let mut suspects = std::mem::take(&mut *db.suspects.lock());
    let (mut still, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for (some, order) in [(in_doubt, doc! { "recount_at": 1 }), (full, doc! { "bytes": -1 })] {
        for hot in fetch(db, some, order).await? {
            let address = values::to_address(&hot.id)?;
            if seen.insert(address)
                && let Some(suspect) = count(db, &address, &hot, suspects.remove(&address), now).await?
            {
                still.insert(address, suspect);
            }
        }
    }
    *db.suspects.lock() = still;
    Ok(())
}

/// Returns the first queues that a filter finds.
async fn fetch(db: &Db, some: Document, order: Document) -> Result<Vec<Hot>, DbError> {
    Ok(db.devices.find(some).sort(order).limit(COUNTED_MAX).await?.try_collect().await?)
}

/// Counts one queue. Returns what was seen if it has to be counted once more.
async fn count(
    db: &Db,
    address: &DeviceAddress,
    hot: &Hot,
    before: Option<Suspect>,
    now: UnixMillis,
) -> Result<Option<Suspect>, DbError> {
    let (rows, bytes) = rows::count(db, in_queue(address)).await?;
    let seen = Suspect { next: hot.next, counters: (hot.messages, hot.bytes), counted: (rows, bytes), at: now };
    if seen.counters != seen.counted {
        match before.filter(|before| before.is_same(&seen)) {
            None => return Ok(Some(seen)),
            Some(before) if now.since(before.at) < SETTLED_MILLIS => return Ok(Some(before)),
            Some(_) => {}
        }
    }
    let mut same = of_device(address);
    same.extend(doc! { "next": hot.next, "messages": hot.messages, "bytes": hot.bytes, "recount_at": hot.recount_at });
    let counted = doc! { "messages": rows, "bytes": bytes, "counted_at": values::time(now), "recount_at": 0_i64 };
    db.devices.update_one(same, doc! { "$set": counted }).await?;
    Ok(None)
}
