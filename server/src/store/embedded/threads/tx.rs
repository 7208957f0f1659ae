//! What an operation works on.

use rusqlite::Connection;

use super::cache::Cache;
use crate::store::embedded::space::Space;

/// A transaction of the writer, as one operation sees it.
pub(crate) struct Tx<'a> {
    /// The writing connection, inside a transaction.
    pub(crate) db: &'a Connection,
    /// Device rows in memory. Its documentation says which operations may use it.
    pub(crate) cache: &'a mut Cache,
    /// The reserve of free space.
    pub(crate) space: &'a mut Space,
    /// Bytes of ciphertexts that were deleted. Their pages are written once more, zeroed.
    pub(crate) erased: &'a mut u64,
    /// Set by an operation whose deletions must not stay in the log.
    pub(crate) forget: &'a mut bool,
}
