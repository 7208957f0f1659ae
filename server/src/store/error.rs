//! How a store fails.

use std::sync::Arc;

/// Why a store could not do what it was asked to do. No variant says anything about the data that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting already. Nothing was changed; try again soon.
    #[error("the store is busy")]
    Busy,
    /// The reserve of free space is used up. Nothing was changed; deleting still works.
    #[error("the store's disk is full")]
    DiskFull,
    /// A write could not be made durable, and the store has stopped for good. The process must exit.
    #[error("the store has stopped: {0}")]
    Stopped(Arc<str>),
    /// A row holds something that cannot be true.
    #[error("the store holds an impossible row: {0}")]
    Corrupt(&'static str),
    /// The database cannot be reached, or did not answer, so that the operation may have been done. Try again; the
    /// store recovers by itself.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// Any other failure of the database. Nothing was changed.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}
