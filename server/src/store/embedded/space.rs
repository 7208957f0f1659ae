//! The reserve of free space: what keeps acks and deletes possible on a full disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DbError;
use super::files;
use crate::store::StoreError;

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
    known: Option<bool>,
}

impl fmt::Debug for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Space").field("reserve_bytes", &self.reserve_bytes).finish_non_exhaustive()
    }
}

impl Space {
    pub(super) fn new(path: &Path, reserve_bytes: u64, free: Arc<dyn FreeSpace>) -> Self {
        Self { path: path.to_owned(), reserve_bytes, free, known: None }
    }

    /// Asks again next time.
    pub(super) const fn forget(&mut self) {
        self.known = None;
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
        if enough { Ok(()) } else { Err(DbError::Answer(StoreError::DiskFull)) }
    }

    /// Asks now. A file system that does not answer counts as full: accepting is what must not fail afterwards.
    pub(super) fn enough(&self) -> bool {
        self.free.free_bytes(&self.path).is_ok_and(|free| free >= self.reserve_bytes)
    }
}
