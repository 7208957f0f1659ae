//! What must not come to life again when the database is older than it was.

use rusqlite::{Connection, params};
use sealpost_api::ids::StoreId;

use super::error::DbError;
use crate::store::AfterRestore;

/// The key epoch rises by 1 to this. The step is drawn with the store's id, so that two restores of the same backup do not
/// lead to the same epoch: an upload that was meant for the first one must not be taken by the second.
const EPOCH_STEP_MAX: u32 = 1 << 20;

/// See [`crate::store::Store::after_restore`].
pub(super) fn after_restore(db: &Connection, store: StoreId) -> Result<AfterRestore, DbError> {
    let mut ended = AfterRestore::default();
    if !sealpost_crypto::sabotage::left_out(5) {
        ended.one_time_prekeys = count(db.execute("DELETE FROM one_time_prekeys", [])?);
        ended.devices = count(
            db.execute("UPDATE devices SET key_epoch = min(key_epoch + ?1, ?2)", params![step(store), u32::MAX])?,
        );
    }
    if !sealpost_crypto::sabotage::left_out(63) {
        ended.sessions = count(db.execute("UPDATE sessions SET ended = 1 WHERE ended = 0", [])?);
    }
    ended.invites = count(db.execute("DELETE FROM invites", [])?);
    db.execute("UPDATE meta SET value = ?1 WHERE key = 'store_id'", [store.as_bytes()])?;
    Ok(ended)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn step(store: StoreId) -> u32 {
    let [a, b, c, d, ..] = *store.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % EPOCH_STEP_MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_epoch_always_rises() {
        for bytes in [[0; 16], [255; 16], [7; 16]] {
            assert!((1..=EPOCH_STEP_MAX).contains(&step(StoreId::from_bytes(bytes))));
        }
    }
}
