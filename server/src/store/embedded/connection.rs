//! Connections to the database.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sealpost_sabotage::{Countermeasure, or_planted};

use super::durable;
use super::open_error::OpenError;

/// Prepared statements that a connection keeps: as many as the store has.
const STATEMENTS_MAX: usize = 128;

/// How long a connection waits for a lock. The writer is alone, so only a checkpoint that resets the log can make it
/// wait.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens for writing. Every write is durable when the `COMMIT` of its transaction returns, unless `never_sync`.
///
/// # Errors
/// [`OpenError::NotDurable`] if SQLite does not accept a setting that this depends on.
pub(super) fn open_writer(path: &Path, cache_bytes: u64, never_sync: bool) -> Result<Connection, OpenError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection, cache_bytes)?;
    // WAL makes a commit one sequential write and one fsync; FULL asks for that fsync.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let never_sync = or_planted(Countermeasure::SyncedCommit, never_sync, true);
    connection.pragma_update(None, "synchronous", if never_sync { "OFF" } else { "FULL" })?;
    // Zeroes what is deleted: a delivered ciphertext or a taken prekey must not be found in the file or in a copy of it.
    connection.pragma_update(None, "secure_delete", or_planted(Countermeasure::SecureDelete, true, false))?;
    // SQLite ignores a failed fsync of an automatic checkpoint. Ours are made by hand, and their errors end the store.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // The log's file shrinks again after a burst.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    if !never_sync {
        durable::check(&connection)?;
    }
    Ok(connection)
}

/// Opens for reading.
pub(super) fn open_reader(path: &Path, cache_bytes: u64) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection, cache_bytes)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

/// Applies the settings that all connections share.
fn prepare(connection: &Connection, cache_bytes: u64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A database file that came from elsewhere must not run code of its own.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let kibibytes = i64::try_from(cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", kibibytes.saturating_neg())
}

#[cfg(test)]
mod tests {
    use super::super::durable::check;
    use super::*;

    #[test]
    fn threat_65_a_database_that_does_not_wait_for_the_disk_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let connection = open_writer(file.path(), 1024 * 1024, false).unwrap();
        for weak in ["OFF", "NORMAL"] {
            connection.pragma_update(None, "synchronous", weak).unwrap();
            let refused = check(&connection).unwrap_err().to_string();
            assert!(refused.contains("`synchronous` is below FULL"), "{refused}");
        }
        connection.pragma_update(None, "synchronous", "EXTRA").unwrap();
        check(&connection).unwrap();
    }
}
