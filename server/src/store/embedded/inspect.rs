//! Finding out what of a database can still be read.

use std::path::Path;

use rusqlite::Connection;

use super::open_error::OpenError;
use super::{connection, migrations, verify};

/// Page cache, in bytes.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// What of one table can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// The name of the table.
    pub table: String,
    /// Rows that could be read in every column.
    pub readable_rows: u64,
    /// Whether these are all. A damaged table may hold more.
    pub whole: bool,
}

/// What was found in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The schema's version, if it can be read.
    pub schema: Option<i64>,
    /// Everything that is wrong, in words; empty if nothing is.
    pub findings: Vec<String>,
    /// What can be read, table by table; empty if not even the names of the tables can be.
    pub tables: Vec<TableReport>,
}

/// Examines a database without changing it, whether a server has it open or not.
///
/// # Errors
/// [`OpenError`] if nothing can be read as a database.
pub fn inspect(database: &Path) -> Result<Report, OpenError> {
    std::fs::metadata(database).map_err(|source| OpenError::Folder { path: database.to_owned(), source })?;
    let db =
        connection::open_reader(database, CACHE_BYTES).map_err(|error| OpenError::from(error).or_damaged(database))?;
    let schema = match migrations::version(&db).map_err(|error| OpenError::from(error).or_damaged(database)) {
        Ok(schema) => Some(schema),
        Err(error @ OpenError::Damaged { .. }) => return Err(error),
        Err(_) => None,
    };
    let mut findings = verify::findings(&db);
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

/// Returns the names of the tables.
fn table_names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Reads from the front to the first damaged row and, if there is one, from the back too.
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

/// Returns the columns of a table's primary key.
fn primary_key(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

/// Counts the rows that can be read in every column before an error. Returns whether all could be read, too.
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
