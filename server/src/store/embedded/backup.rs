//! Copying the database while the server writes to it.
//!
//! The copy is one snapshot: SQLite's backup runs inside one read transaction, so that no write makes it start over.
//! Meanwhile the write-ahead log cannot begin anew. When it has grown by [`LOG_GROWTH_MAX`] the copy is abandoned, so
//! that the disk does not fill up.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use sealpost_sabotage::{Countermeasure, refuses};

use super::files::{self, Folder};
use super::open_error::OpenError;
use super::tables::columns::changed;
use super::{connection, migrations, verify};

/// Pages copied between two looks at the size of the log: 4 MiB.
const PAGES_A_STEP: i32 = 1_024;

/// By how many bytes the log may grow meanwhile. A copy that takes longer goes to a disk that is too slow for it.
const LOG_GROWTH_MAX: u64 = 1024 * 1024 * 1024;

/// Page cache of the source, in bytes.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Why there is no copy. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The data folder holds no database.
    #[error("{} holds no database", .0.display())]
    Nothing(PathBuf),
    /// The database refused.
    #[error("the database could not be copied")]
    Database(#[from] rusqlite::Error),
    /// The copy cannot be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The log grew too far.
    #[error("the server wrote more than 1 GiB while the copy was made; back up to a faster disk, or at a quieter time")]
    Slow,
    /// What was copied is damaged.
    #[error(
        "the database is damaged, and a copy of it would be no backup: {0}. \
         `sealpost-server verify` says what of it can still be read"
    )]
    Damaged(String),
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The schema's version.
    pub schema: i64,
    /// Accounts.
    pub accounts: u64,
    /// Devices in current lists.
    pub devices: u64,
    /// Messages that wait.
    pub queued_messages: u64,
    /// One-time prekeys of the source that are not in the copy.
    pub one_time_prekeys_left_out: u64,
}

/// Copies the database of a data folder into a new file, whether a server has it open or not, and checks the copy.
/// One-time prekeys are left out: a restored store must not give one of them a second time. `progress` is told how many
/// pages of how many are copied.
///
/// # Errors
/// [`BackupError`]; an unfinished file may be left.
pub fn copy_database(data: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Copied, BackupError> {
    let folder = Folder::existing(data)?;
    if folder.is_restoring() {
        return Err(OpenError::Restoring { path: data.to_owned() }.into());
    }
    let header = folder.header()?.ok_or_else(|| BackupError::Nothing(data.to_owned()))?;
    migrations::check_header(&folder.database(), &header)?;
    let damaged = |error: rusqlite::Error| match OpenError::from(error).or_damaged(&folder.database()) {
        OpenError::Database(error) => BackupError::Database(error),
        error => BackupError::Open(error),
    };
    let write = |error| BackupError::Write(to.to_owned(), error);
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(to).map_err(write)?;
    let mut copy =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let source = connection::open_reader(&folder.database(), CACHE_BYTES).map_err(damaged)?;
    copy_pages(&source, &mut copy, &folder, progress).map_err(|error| match error {
        BackupError::Database(error) => damaged(error),
        error => error,
    })?;
    let copied = finish(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(write)?;
    Ok(copied)
}

/// Copies page by page, inside one snapshot.
fn copy_pages(
    source: &Connection,
    copy: &mut Connection,
    folder: &Folder,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BackupError> {
    let snapshot = source.unchecked_transaction()?;
    // The first read begins the snapshot.
    migrations::version(&snapshot)?;
    let log_before = log_bytes(folder);
    let backup = Backup::new(&snapshot, copy)?;
    loop {
        let step = backup.step(PAGES_A_STEP)?;
        let state = backup.progress();
        let pages = u64::try_from(state.pagecount).unwrap_or(0);
        progress(pages.saturating_sub(u64::try_from(state.remaining).unwrap_or(0)), pages);
        match step {
            StepResult::Done => return Ok(()),
            _ if log_bytes(folder).saturating_sub(log_before) > LOG_GROWTH_MAX => return Err(BackupError::Slow),
            _ => {}
        }
    }
}

/// Returns the size of the write-ahead log.
fn log_bytes(folder: &Folder) -> u64 {
    fs::metadata(files::log(&folder.database())).map_or(0, |metadata| metadata.len())
}

/// Makes the copy one file without a log, checks it, and deletes what may not be restored.
fn finish(copy: &Connection) -> Result<Copied, BackupError> {
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.pragma_update(None, "synchronous", "FULL")?;
    copy.pragma_update(None, "secure_delete", "ON")?;
    let findings = verify::findings(copy);
    if let Some(first) = findings.first() {
        return Err(BackupError::Damaged(first.clone()));
    }
    let mut left_out = 0;
    if refuses(Countermeasure::KeyEpoch, true) {
        left_out = copy.execute("DELETE FROM one_time_prekeys", [])?;
    }
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    Ok(Copied {
        schema: migrations::version(copy)?,
        accounts: count("SELECT count(*) FROM accounts")?,
        devices: count("SELECT count(*) FROM devices WHERE listed = 1")?,
        queued_messages: count("SELECT count(*) FROM queue")?,
        one_time_prekeys_left_out: changed(left_out),
    })
}
