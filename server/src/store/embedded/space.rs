//! The reserve of free space: what keeps acks and deletes possible on a full disk.

use sealpost_sabotage::{Countermeasure, without};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::error::DbError;
use super::files;
use crate::store::StoreError;

/// Bytes of a page of the database.
const PAGE_BYTES: u64 = 4_096;

/// Tells how much can still be written.
pub trait FreeSpace: Send + Sync {
    /// Free bytes below `path` for this process.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// The operating system's answer (`statvfs(3)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSpace;

impl FreeSpace for DiskSpace {
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        files::free_bytes(path)
    }
}

/// Whether the reserve is still whole; asked once a transaction, because a system call a message would be too much.
#[derive(Clone)]
pub(super) struct Space {
    path: PathBuf,
    reserve_bytes: u64,
    free: Arc<dyn FreeSpace>,
    /// Bytes of pages in the database that hold nothing: what was deleted does not make the file smaller.
    reusable_bytes: Arc<AtomicU64>,
    known: Option<bool>,
}

impl fmt::Debug for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Space").field("reserve_bytes", &self.reserve_bytes).finish_non_exhaustive()
    }
}

impl Space {
    pub(super) fn new(path: &Path, reserve_bytes: u64, free: Arc<dyn FreeSpace>) -> Self {
        Self { path: path.to_owned(), reserve_bytes, free, reusable_bytes: Arc::default(), known: None }
    }

    /// Asks again next time.
    pub(super) const fn forget(&mut self) {
        self.known = None;
    }

    /// Counts the pages that can be used again. Only the writer knows.
    pub(super) fn count_reusable(&self, db: &Connection) -> Result<(), DbError> {
        let pages: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
        let bytes = u64::try_from(pages).unwrap_or(0).saturating_mul(PAGE_BYTES);
        self.reusable_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses what would grow the store once the reserve is used up. To be called before the first write.
    pub(super) fn require(&mut self) -> Result<(), DbError> {
        let enough = match self.known {
            Some(enough) => enough,
            None => {
                let enough = self.enough();
                self.known = Some(enough);
                enough
            }
        };
        if enough || without(Countermeasure::DiskReserve) { Ok(()) } else { Err(DbError::Answer(StoreError::DiskFull)) }
    }

    /// Asks now. A file system that does not answer counts as full: accepting is what must not fail afterwards.
    ///
    /// Pages that the database can use again make up for at most half of the reserve: they hold messages once more, but the
    /// log needs room on the disk.
    pub(super) fn enough(&self) -> bool {
        let Ok(free) = self.free.free_bytes(&self.path) else { return false };
        free.saturating_add(self.reusable_bytes.load(Ordering::Relaxed)) >= self.reserve_bytes
            && free >= self.reserve_bytes / 2
    }
}
