//! The tables of a vault. They must be, word for word, the ones below: a file from elsewhere could bring views and triggers
//! of its own.

use rusqlite::{Connection, Transaction};

use super::error::database;
use crate::vault::error::VaultError;

/// `PRAGMA application_id`: "Sea\u{1}". Tells a vault from other databases.
pub(in crate::vault) const APPLICATION_ID: u32 = 0x5365_6101;
/// `PRAGMA user_version`: the schema's version.
pub(in crate::vault) const FORMAT: u32 = 1;

/// The tables, in the order of their names.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE entry (
    tab   INTEGER NOT NULL,
    key   BLOB NOT NULL,               -- HMAC of the look-up key
    value BLOB NOT NULL,               -- sealed
    PRIMARY KEY (tab, key)
) STRICT, WITHOUT ROWID",
    "CREATE TABLE header (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    vault_id    BLOB NOT NULL,
    key_source  INTEGER NOT NULL,      -- 1: wrapped under a passphrase, 2: in the key ring
    memory_kib  INTEGER NOT NULL,
    passes      INTEGER NOT NULL,
    lanes       INTEGER NOT NULL,
    salt        BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    state       BLOB NOT NULL          -- sealed
) STRICT",
    "CREATE TABLE list (
    log      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    value    BLOB NOT NULL,            -- sealed
    PRIMARY KEY (log, position)
) STRICT, WITHOUT ROWID",
    "CREATE TABLE list_head (
    log  INTEGER PRIMARY KEY,
    next INTEGER NOT NULL              -- never given again
) STRICT",
];

/// Makes the tables in an empty database.
pub(super) fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    SCHEMA.iter().try_for_each(|table| transaction.execute_batch(table))
}

/// Refuses a file whose tables are not exactly ours.
pub(super) fn check(connection: &Connection) -> Result<(), VaultError> {
    let found: Vec<Option<String>> = connection
        .prepare("SELECT sql FROM sqlite_schema ORDER BY name LIMIT 9")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(|error| database(&error))?;
    if found.iter().map(Option::as_deref).eq(SCHEMA.map(Some)) {
        Ok(())
    } else {
        Err(VaultError::Damaged { what: "schema" })
    }
}

/// Returns whether a database has no table yet.
pub(in crate::vault) fn is_empty(connection: &Connection) -> Result<bool, VaultError> {
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map(|tables| tables == 0)
        .map_err(|error| database(&error))
}
