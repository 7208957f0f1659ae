//! The schema's versions: append-only SQL files, each applied once in its own transaction.

use std::path::Path;

use rusqlite::{Connection, params};

use super::open_error::OpenError;

/// Name and text of every version; the first is version 1.
const MIGRATIONS: [(&str, &str); 2] = [
    ("initial", include_str!("../../../../migrations/embedded/0001_initial.sql")),
    ("admin", include_str!("../../../../migrations/embedded/0002_admin.sql")),
];

/// Marks the file as Sealpost's, for `file` and `sqlite3`: "SlPt".
const APPLICATION_ID: i32 = 0x536c_5074;

/// The first bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Offset of `user_version` in the header.
const USER_VERSION_AT: usize = 60;

/// Offset of `application_id` in the header.
const APPLICATION_ID_AT: usize = 68;

/// Returns the newest version that this program knows.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Returns the names of the versions that a database of this version lacks.
pub(super) fn missing(current: i64) -> Vec<&'static str> {
    MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > current).map(|((name, _), _)| *name).collect()
}

/// Checks the header of a database file before SQLite touches the file.
pub(super) fn check_header(path: &Path, header: &[u8]) -> Result<(), OpenError> {
    let path = path.to_owned();
    if header.is_empty() {
        return Err(OpenError::Damaged { path, what: "the file is empty" });
    }
    let number =
        |at: usize| header.get(at..).and_then(<[u8]>::first_chunk::<4>).map(|bytes| i32::from_be_bytes(*bytes));
    match (number(USER_VERSION_AT), number(APPLICATION_ID_AT)) {
        (Some(version), Some(APPLICATION_ID)) if header.starts_with(MAGIC) => {
            // It is the version that was checkpointed last.
            let found = i64::from(version);
            if found > newest() { Err(OpenError::Newer { found, known: newest() }) } else { Ok(()) }
        }
        _ => Err(OpenError::Damaged { path, what: "it is no Sealpost database" }),
    }
}

/// Returns the version of an open database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies the versions that are missing.
pub(super) fn apply(connection: &mut Connection) -> Result<(), OpenError> {
    let found = version(connection)?;
    if found > newest() {
        return Err(OpenError::Newer { found, known: newest() });
    }
    for ((name, sql), number) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, number)| *number > found) {
        tracing::info!(version = number, name, "applying a migration");
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Records a value that is drawn once, at the first start.
pub(super) fn set_meta(connection: &Connection, key: &str, value: &[u8; 16]) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value]).map(drop)
}

/// Reads such a value.
pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<[u8; 16]> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
}
