//! Checks of the whole database: SQLite's own, and what must hold between our rows.

use std::path::Path;

use rusqlite::Connection;

use super::error::DbError;
use super::{OpenError, connection, migrations};

/// Findings that one check reports; more say nothing new.
const FINDINGS_MAX: usize = 20;

/// A database up to this size, in bytes, is looked through at each start, in a fraction of a second. A larger one would keep
/// people waiting; there `verify` is for the operator to run.
const CHECKED_AT_START_MAX: u64 = 64 * 1024 * 1024;
/// Page cache, in bytes.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Each finds rows that cannot be true: a text for a person, and a query that gives one column.
const INVARIANTS: [(&str, &str); 12] = [
    (
        "a device's counters differ from its queue",
        "SELECT devices.dev FROM devices LEFT JOIN (SELECT dev, count(*) AS messages, sum(length(ciphertext)) AS bytes \
         FROM queue GROUP BY dev) AS held ON held.dev = devices.dev \
         WHERE queue_messages <> coalesce(messages, 0) OR queue_bytes <> coalesce(bytes, 0)",
    ),
    ("a queue row lies outside of its device's range", "SELECT id FROM queue WHERE id >> 34 <> dev"),
    (
        "a queue row's sequence was never given",
        "SELECT id FROM queue JOIN devices USING (dev) WHERE id & 17179869183 >= queue_next",
    ),
    (
        "a queue row has no recipient in a current list",
        "SELECT id FROM queue WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = queue.dev AND listed = 1)",
    ),
    (
        "a queue row has no sender",
        "SELECT id FROM queue WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = queue.sender_dev)",
    ),
    (
        "a queue row's number is above its sender's highest",
        "SELECT id FROM queue JOIN devices ON devices.dev = queue.sender_dev \
         WHERE highest_number > 0 AND number > highest_number",
    ),
    (
        "a notice has no device in a current list",
        "SELECT notice_id FROM notices \
         WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = notices.dev AND listed = 1)",
    ),
    (
        "a notice's count differs from its numbers",
        "SELECT notice_id FROM notices WHERE kind = 1 AND count * 8 <> length(numbers)",
    ),
    (
        "a one-time prekey has no device, or an id that was never issued",
        "SELECT key_id FROM one_time_prekeys WHERE NOT EXISTS (SELECT 1 FROM devices \
         WHERE devices.dev = one_time_prekeys.dev AND listed = 1 AND max_issued_id >= key_id)",
    ),
    (
        "a signed prekey has no device in a current list",
        "SELECT dev FROM signed_prekeys \
         WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = signed_prekeys.dev AND listed = 1)",
    ),
    (
        "a live session has no device in a current list of its account",
        "SELECT hex(session_id) FROM sessions WHERE ended = 0 AND NOT EXISTS (SELECT 1 FROM devices \
         WHERE devices.dev = sessions.dev AND devices.account_id = sessions.account_id AND listed = 1)",
    ),
    (
        "an account has no current device list or no device",
        "SELECT hex(account_id) FROM accounts WHERE NOT EXISTS (SELECT 1 FROM device_lists \
         WHERE device_lists.account_id = accounts.account_id AND version = list_version) \
         OR NOT EXISTS (SELECT 1 FROM devices WHERE devices.account_id = accounts.account_id AND listed = 1)",
    ),
];

/// What of a table can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Rows that were read in every column.
    pub readable_rows: u64,
    /// Whether these are all; a damaged table may hold more.
    pub whole: bool,
}

/// What was found in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The schema's version, where that can be read.
    pub schema: Option<i64>,
    /// Everything that is wrong, in words; empty when nothing is.
    pub findings: Vec<String>,
    /// What can be read, table by table; empty when not even their names can be.
    pub tables: Vec<TableReport>,
}

/// Looks a database through, whether a server has it open or not, and changes nothing.
///
/// # Errors
/// [`OpenError`] when there is nothing that could be read as a database.
pub fn inspect(database: &Path) -> Result<Report, OpenError> {
    std::fs::metadata(database).map_err(|source| OpenError::Folder { path: database.to_owned(), source })?;
    let db = connection::open_reader(database, CACHE_BYTES)
        .map_err(|error| OpenError::from(error).or_damaged_at(database))?;
    let schema = match migrations::version(&db).map_err(|error| OpenError::from(error).or_damaged_at(database)) {
        Ok(schema) => Some(schema),
        Err(error @ OpenError::Damaged { .. }) => return Err(error),
        Err(_) => None,
    };
    let mut findings = findings(&db);
    if let Some(found) = schema.filter(|found| *found > migrations::newest()) {
        return Err(OpenError::Newer { found, known: migrations::newest() });
    }
    let tables = match table_names(&db) {
        Ok(names) => names.into_iter().map(|name| read_table(&db, name)).collect(),
        Err(error) => {
            findings.push(format!("the names of the tables cannot be read: {error}"));
            Vec::new()
        }
    };
    Ok(Report { schema, findings, tables })
}

fn table_names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Reads from the front to the first damaged row and, when there is one, from the back too.
fn read_table(db: &Connection, table: String) -> TableReport {
    let key = primary_key(db, &table).unwrap_or_default();
    let (forwards, whole) = read_rows(db, &format!("SELECT * FROM \"{table}\""));
    let backwards = if whole || key.is_empty() {
        0
    } else {
        let order: Vec<_> = key.iter().map(|column| format!("\"{column}\" DESC")).collect();
        read_rows(db, &format!("SELECT * FROM \"{table}\" ORDER BY {}", order.join(", "))).0
    };
    TableReport { table, readable_rows: forwards.saturating_add(backwards), whole }
}

fn primary_key(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

/// Rows read in every column until an error came, and whether none came.
fn read_rows(db: &Connection, sql: &str) -> (u64, bool) {
    let mut count = 0_u64;
    let mut read = || -> rusqlite::Result<()> {
        let mut select = db.prepare(sql)?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                row.get_ref(column)?;
            }
            count = count.saturating_add(1);
        }
        Ok(())
    };
    let whole = read().is_ok();
    (count, whole)
}

/// Refuses a database that is seen to be damaged before anything is written to it.
pub(super) fn at_start(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if bytes > CHECKED_AT_START_MAX {
        return Ok(());
    }
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), what: "pages of it are damaged" })
}

/// The same as [`verify`], where a check that cannot be made is a finding.
pub(super) fn findings(db: &Connection) -> Vec<String> {
    match verify(db) {
        Ok(findings) => findings,
        Err(error) => vec![format!("it cannot be checked: {}", crate::store::StoreError::from(error))],
    }
}

/// Everything that is wrong, in words; empty when nothing is.
pub(super) fn verify(db: &Connection) -> Result<Vec<String>, DbError> {
    let mut findings = db
        .prepare("PRAGMA integrity_check(20)")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    findings.retain(|finding| finding != "ok");
    if !findings.is_empty() {
        // Our own checks would walk over damaged pages.
        return Ok(findings);
    }
    for (text, sql) in INVARIANTS {
        let mut select = db.prepare(sql)?;
        let mut found = select.query([])?;
        let mut count = 0_usize;
        while let Some(row) = found.next()?
            && count < FINDINGS_MAX
        {
            count = count.saturating_add(1);
            let which: rusqlite::types::Value = row.get(0)?;
            findings.push(match which {
                rusqlite::types::Value::Integer(which) => format!("{text}: {which}"),
                rusqlite::types::Value::Text(which) => format!("{text}: {which}"),
                _ => text.to_owned(),
            });
        }
    }
    Ok(findings)
}
