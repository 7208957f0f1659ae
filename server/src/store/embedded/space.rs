//! The reserve of free space, which keeps acks and deletions possible on a full disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use sealpost_sabotage::{Countermeasure, holds};

use super::error::DbError;
use super::files;
use crate::store::error::StoreError;

/// Bytes of a page of the database.
const PAGE_BYTES: u64 = 4_096;

/// Tells how much can still be written.
pub trait FreeSpace: Send + Sync {
    /// Returns the free bytes below `path` for this process.
    ///
    /// # Errors
    /// What the operating system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// Asks the operating system (`statvfs(3)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSpace;

impl FreeSpace for DiskSpace {
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        files::free_bytes(path)
    }
}

/// Watches whether the reserve is used up. It asks once per transaction, because a system call per message would cost
/// too much.
#[derive(Clone)]
pub(super) struct Space {
    path: PathBuf,
    reserve_bytes: u64,
    free: Arc<dyn FreeSpace>,
    /// Bytes of empty pages in the database. Deleting does not make the file smaller.
    reusable_bytes: Arc<AtomicU64>,
    /// The answer of this transaction, once it was asked for.
    known: Option<bool>,
}

impl fmt::Debug for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Space").field("reserve_bytes", &self.reserve_bytes).finish_non_exhaustive()
    }
}

impl Space {
    /// A reserve of `reserve_bytes` on the file system below `path`.
    pub(super) fn new(path: &Path, reserve_bytes: u64, free: Arc<dyn FreeSpace>) -> Self {
        Self { path: path.to_owned(), reserve_bytes, free, reusable_bytes: Arc::default(), known: None }
    }

    /// Forgets the answer, so that the next question asks again.
    pub(super) const fn forget(&mut self) {
        self.known = None;
    }

    /// Counts the pages that can be used again, which only the writer knows.
    pub(super) fn count_reusable(&self, db: &Connection) -> Result<(), DbError> {
        let pages: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
        let bytes = u64::try_from(pages).unwrap_or(0).saturating_mul(PAGE_BYTES);
        self.reusable_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses an operation that would make the store grow once the reserve is used up. Called before the first write.
    pub(super) fn require(&mut self) -> Result<(), DbError> {
        let enough = match self.known {
            Some(enough) => enough,
            None => {
                let enough = self.enough();
                self.known = Some(enough);
                enough
            }
        };
        match holds(Countermeasure::DiskReserve, enough) {
            true => Ok(()),
            false => Err(DbError::Answer(StoreError::DiskFull)),
        }
    }

    /// Asks now whether the reserve is there. A file system that does not answer counts as full, because accepted
    /// messages must not fail to be written afterwards.
    ///
    /// Pages that the database can use again make up for at most half of the reserve: they can hold messages, but the
    /// log needs room on the disk.
    pub(super) fn enough(&self) -> bool {
        let Ok(free) = self.free.free_bytes(&self.path) else { return false };
        free.saturating_add(self.reusable_bytes.load(Ordering::Relaxed)) >= self.reserve_bytes
            && free >= self.reserve_bytes / 2
    }
}
