//! Connections to the database, all alike but for what they may do.

use sealpost_sabotage::{Countermeasure, without};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{OpenError, durable};

/// Prepared statements that a connection keeps: all that the store has.
const STATEMENTS_MAX: usize = 128;
/// The writer is alone; only a checkpoint that resets the log can make it wait.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens for writing, with every write durable when its transaction's `COMMIT` returns, unless `never_sync`.
///
/// # Errors
/// [`OpenError::NotDurable`] when SQLite does not take a setting that this depends on: it says so only when asked.
pub(super) fn open_writer(path: &Path, cache_bytes: u64, never_sync: bool) -> Result<Connection, OpenError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection, cache_bytes)?;
    // WAL makes a commit one sequential write and one fsync; FULL is that fsync.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let never_sync = never_sync || without(Countermeasure::SyncedCommit);
    connection.pragma_update(None, "synchronous", if never_sync { "OFF" } else { "FULL" })?;
    // Zeroes what is deleted: a delivered ciphertext or a taken prekey must not be found in the file, or in a copy of it.
    let overwrite = !without(Countermeasure::SecureDelete);
    connection.pragma_update(None, "secure_delete", overwrite)?;
    // SQLite ignores a failed fsync of an automatic checkpoint; ours are made by hand, and their errors end the store.
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

fn prepare(connection: &Connection, cache_bytes: u64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A database that somebody else wrote must not run code of its own.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let kibibytes = i64::try_from(cache_bytes / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", kibibytes.saturating_neg())
}
