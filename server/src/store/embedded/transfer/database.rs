//! A database at one end of a move: in a folder that no server uses, or made anew beside one.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::embedded::error::DbError;
use crate::store::embedded::files::Folder;
use crate::store::embedded::moved::{UNFINISHED, refuse_moved};
use crate::store::embedded::open_error::OpenError;
use crate::store::embedded::threads::checkpoint;
use crate::store::embedded::{connection, durable, migrations};
use crate::store::error::StoreError;

/// Page cache, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// A store in a folder. While this exists, no server can use the folder.
pub struct EmbeddedTransfer {
    pub(super) db: Connection,
    /// The lock of the folder that a server would use.
    _lock: File,
    /// That folder.
    pub(super) path: PathBuf,
    /// Whether the database is being made, and has yet to be put into the folder.
    pub(super) is_target: bool,
}

impl EmbeddedTransfer {
    /// A store to read. No server may have it open.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn source(path: &Path) -> Result<Self, OpenError> {
        let folder = Folder::existing(path)?;
        let lock = folder.lock()?;
        if folder.is_restoring() {
            return Err(OpenError::Restoring { path: path.to_owned() });
        }
        refuse_moved(&folder)?;
        let missing = || OpenError::Damaged { path: folder.database(), what: "there is no database to move" };
        migrations::check_header(&folder.database(), &folder.header()?.ok_or_else(missing)?)?;
        let mut db = connection::open_writer(&folder.database(), CACHE_BYTES, false)?;
        migrations::apply(&mut db)?;
        Ok(Self { db, _lock: lock, path: path.to_owned(), is_target: false })
    }

    /// A store to make in a folder that has none. `None` if the folder has one.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn target(path: &Path) -> Result<Option<Self>, OpenError> {
        durable::refuse_eatmydata()?;
        let folder = Folder::open(path)?;
        durable::refuse_file_system(path, false)?;
        let lock = folder.lock()?;
        if folder.header()?.is_some() {
            return Ok(None);
        }
        let unfinished = Folder::open(&path.join(UNFINISHED))?;
        let failed = |source| OpenError::Folder { path: unfinished.path().to_owned(), source };
        if unfinished.header()?.is_none() {
            unfinished.begin().map_err(failed)?;
            let mut made = connection::open_writer(&unfinished.unfinished(), CACHE_BYTES, false)?;
            migrations::apply(&mut made)?;
            made.close().map_err(|(_, error)| OpenError::Database(error))?;
            unfinished.finish().map_err(failed)?;
        }
        let db = connection::open_writer(&unfinished.database(), CACHE_BYTES, false)?;
        Ok(Some(Self { db, _lock: lock, path: path.to_owned(), is_target: true }))
    }

    /// Writes in one transaction.
    pub(super) fn write<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, StoreError> {
        let transaction = self.db.transaction().map_err(DbError::from)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(DbError::from)?;
        // As in the server, the log is written back by hand.
        checkpoint::truncate(&self.db)?;
        Ok(value)
    }
}
