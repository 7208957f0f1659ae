//! The embedded store: SQLite, one file in one folder, one process.
//!
//! One thread writes, with group commit; a few read-only connections read; another thread writes the log back. An
//! operation is answered when it is durable (`synchronous = FULL` on a write-ahead log). A write that may not have
//! become durable ends the store for good ([`EmbeddedStore::stopped`]): the process must exit and start again, so that
//! it goes on from what is on the disk.
//!
//! Deleted rows are overwritten (`secure_delete`), because a delivered ciphertext must not be found in a copied file.
//! The write-ahead log still holds the newest ones for a while.

mod accept;
mod accounts;
mod acknowledge;
mod admin;
mod backup;
mod connection;
mod connections;
mod device_lists;
mod devices;
mod durable;
mod error;
mod expiry;
mod files;
mod inspect;
mod invariants;
mod invites;
mod migrations;
mod moved;
mod nodes;
mod open_error;
mod opening;
mod options;
mod prekeys;
mod queue;
mod restore;
mod sessions;
mod space;
mod store;
mod tables;
mod threads;
mod transfer;
mod verify;

pub use self::backup::{BackupError, Copied, copy_database};
pub use self::files::{DATABASE, LOCK, RESTORING, hold_folder, lock_folder};
pub use self::inspect::{Report, TableReport, inspect};
pub use self::open_error::OpenError;
pub use self::options::EmbeddedOptions;
pub use self::space::{DiskSpace, FreeSpace};
pub use self::store::EmbeddedStore;
pub use self::transfer::EmbeddedTransfer;
