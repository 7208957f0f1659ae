//! How to run the store.

use std::sync::Arc;

use super::space::{DiskSpace, FreeSpace};
use crate::base::config::RESERVE_BYTES;
use crate::store::watch::{NoObserver, StoreObserver};

/// Settings of the store.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Free bytes below which nothing is accepted any more. Acks and deletions still work.
    pub reserve_bytes: u64,
    /// Page cache of the writer, in bytes. Each reader has a quarter of that.
    pub cache_bytes: u64,
    /// Reading threads.
    pub readers: usize,
    /// Most pages (4,096 bytes) that the database may have. Beyond, writes fail as on a full disk.
    pub pages_max: Option<u32>,
    /// Tells how much space is free.
    pub free_space: Arc<dyn FreeSpace>,
    /// Whether to accept, with a warning, a file system that may lose what it was told to keep.
    pub allow_unsafe_filesystem: bool,
    /// Never waits for the disk, so that a power cut loses what was accepted. It exists to show that a test would
    /// notice; nothing in the program sets it.
    pub never_sync: bool,
    /// Is told how long commits take.
    pub observer: Arc<dyn StoreObserver>,
}

impl std::fmt::Debug for EmbeddedOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EmbeddedOptions")
            .field("reserve_bytes", &self.reserve_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("readers", &self.readers)
            .field("pages_max", &self.pages_max)
            .field("allow_unsafe_filesystem", &self.allow_unsafe_filesystem)
            .field("never_sync", &self.never_sync)
            .finish_non_exhaustive()
    }
}

impl Default for EmbeddedOptions {
    /// A reserve of 128 MiB, a cache of 16 MiB, two readers.
    fn default() -> Self {
        Self {
            reserve_bytes: RESERVE_BYTES,
            cache_bytes: 16 * 1024 * 1024,
            readers: 2,
            pages_max: None,
            free_space: Arc::new(DiskSpace),
            allow_unsafe_filesystem: false,
            never_sync: false,
            observer: Arc::new(NoObserver),
        }
    }
}
