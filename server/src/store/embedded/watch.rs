//! What the store tells whoever watches it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::files;

/// Is told what the writer does. Nothing here may wait: the writer waits for it.
pub trait StoreObserver: fmt::Debug + Send + Sync {
    /// A transaction of so many operations is durable; its commit took so long.
    fn committed(&self, operations: usize, took: Duration);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl StoreObserver for NoObserver {
    fn committed(&self, _: usize, _: Duration) {}
}

/// What the store takes on its disk, in bytes; 0 where the operating system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSizes {
    /// The database.
    pub database: u64,
    /// Its write-ahead log.
    pub log: u64,
    /// Still free on its file system.
    pub free: u64,
}

impl FileSizes {
    pub(super) fn of(folder: &Path, database: &Path) -> Self {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Self { database: size(database), log: size(Path::new(&log)), free: files::free_bytes(folder).unwrap_or(0) }
    }
}
