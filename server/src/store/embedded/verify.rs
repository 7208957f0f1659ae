//! Checking a whole database: SQLite's own checks, and our invariants.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::DbError;
use super::invariants::INVARIANTS;
use super::open_error::OpenError;
use crate::store::error::StoreError;

/// Findings that one check reports. More of them say nothing new.
const FINDINGS_MAX: usize = 20;

/// A database up to this size, in bytes, is checked at each start, in a fraction of a second. A larger one would delay
/// the start; for it the operator runs `verify`.
const CHECKED_AT_START_MAX: u64 = 64 * 1024 * 1024;

/// Refuses a database that is visibly damaged, before anything is written to it.
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

/// Returns everything that is wrong, like [`verify`], where a check that fails is itself a finding.
pub(super) fn findings(db: &Connection) -> Vec<String> {
    match verify(db) {
        Ok(findings) => findings,
        Err(error) => vec![format!("it cannot be checked: {}", StoreError::from(error))],
    }
}

/// Returns everything that is wrong, in words; empty if nothing is.
pub(super) fn verify(db: &Connection) -> Result<Vec<String>, DbError> {
    let mut findings = db
        .prepare("PRAGMA integrity_check(20)")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    findings.retain(|finding| finding != "ok");
    if !findings.is_empty() {
        // Our own checks would read damaged pages.
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
            let which: Value = row.get(0)?;
            findings.push(match which {
                Value::Integer(which) => format!("{text}: {which}"),
                Value::Text(which) => format!("{text}: {which}"),
                _ => text.to_owned(),
            });
        }
    }
    Ok(findings)
}
