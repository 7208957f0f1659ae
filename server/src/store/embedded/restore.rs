//! Ends what must not come back to life in a database that is older than it was.

use rusqlite::{Connection, params};
use sealpost_api::ids::StoreId;
use sealpost_sabotage::{Countermeasure, refuses};

use super::error::DbError;
use super::tables::columns::changed;
use crate::domain::key_epochs;
use crate::store::back_end::AfterRestore;

/// See [`Store::after_restore`](crate::store::Store::after_restore).
pub(super) fn after_restore(db: &Connection, store: StoreId) -> Result<AfterRestore, DbError> {
    let mut ended = AfterRestore::default();
    if refuses(Countermeasure::KeyEpoch, true) {
        ended.one_time_prekeys = changed(db.execute("DELETE FROM one_time_prekeys", [])?);
        let step = key_epochs::step(store);
        ended.devices =
            changed(db.execute("UPDATE devices SET key_epoch = min(key_epoch + ?1, ?2)", params![step, u32::MAX])?);
    }
    if refuses(Countermeasure::RestoreEndsLogins, true) {
        ended.sessions = changed(db.execute("UPDATE sessions SET ended = 1 WHERE ended = 0", [])?);
    }
    ended.invites = changed(db.execute("DELETE FROM invites", [])?);
    db.execute("UPDATE meta SET value = ?1 WHERE key = 'store_id'", [store.as_bytes()])?;
    Ok(ended)
}
