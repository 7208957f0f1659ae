//! How the database is opened: as one that is not trusted, and so that one that is refused is left as it was.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::database;
use crate::vault::error::VaultError;

/// How long a second process waits for the first one to close the vault; the profile's lock keeps them apart anyway.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);

/// Opens the database at `path` as one that is not trusted. Closing it again changes nothing in it.
///
/// Makes an absent one only if the flags say so. It is locked against other connections from its first statement on.
pub(in crate::vault) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, VaultError> {
    let open = || {
        let connection = Connection::open_with_flags(
            path,
            flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_PATIENCE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;")?;
        Ok(connection)
    };
    open().map_err(|error| database(&error))
}

/// Sets how the database is written from now on: synced with every commit, and without what was deleted.
pub(super) fn settle_journal(connection: &Connection) -> Result<(), VaultError> {
    let settle = || {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;",
        )?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(|_| ())
    };
    settle().map_err(|error| database(&error))
}

/// Writes the journal back into the database and empties it: what was replaced is in neither of them then.
pub(super) fn write_journal_back(connection: &Connection) -> Result<(), VaultError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| database(&error))
}
