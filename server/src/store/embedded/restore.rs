//! What must not come to life again when the database is older than it was.

use rusqlite::{Connection, params};
use sealpost_api::ids::StoreId;
use sealpost_sabotage::{Countermeasure, without};

use super::error::DbError;
use crate::store::{AfterRestore, epoch_step};

/// See [`crate::store::Store::after_restore`].
pub(super) fn after_restore(db: &Connection, store: StoreId) -> Result<AfterRestore, DbError> {
    let mut ended = AfterRestore::default();
    if !without(Countermeasure::KeyEpoch) {
        ended.one_time_prekeys = count(db.execute("DELETE FROM one_time_prekeys", [])?);
        ended.devices = count(
            db.execute("UPDATE devices SET key_epoch = min(key_epoch + ?1, ?2)", params![epoch_step(store), u32::MAX])?,
        );
    }
    if !without(Countermeasure::RestoreEndsLogins) {
        ended.sessions = count(db.execute("UPDATE sessions SET ended = 1 WHERE ended = 0", [])?);
    }
    ended.invites = count(db.execute("DELETE FROM invites", [])?);
    db.execute("UPDATE meta SET value = ?1 WHERE key = 'store_id'", [store.as_bytes()])?;
    Ok(ended)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
