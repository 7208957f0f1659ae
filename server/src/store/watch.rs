//! What a store tells metrics about itself.

use std::fmt;
use std::time::Duration;

/// Is told what the writer does. It must not wait: the writer waits for it.
pub trait StoreObserver: fmt::Debug + Send + Sync {
    /// Notes that a transaction of `operations` operations is durable, and that its commit took `took`.
    fn committed(&self, operations: usize, took: Duration);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl StoreObserver for NoObserver {
    fn committed(&self, _: usize, _: Duration) {}
}

/// What a store takes on this machine's disk, in bytes; 0 where the operating system does not say, or the store is
/// elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSizes {
    /// The database.
    pub database: u64,
    /// Its write-ahead log.
    pub log: u64,
    /// Free space on its file system.
    pub free: u64,
}
