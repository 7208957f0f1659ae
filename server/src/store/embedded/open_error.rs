//! Why a data folder cannot be used. The texts are for the person who started the program.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a folder could not be opened as a store. Nothing in it was changed, except that missing files may have been
/// made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("cannot use {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Other users of this machine may open it.
    #[error("{} can be opened by other users (mode {mode:03o}); run: chmod {wanted:03o} {}", path.display(), path.display())]
    LooseMode {
        /// The file or folder.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// A move into the folder has begun and not finished.
    #[error("a move into {} has not finished; run the same `sealpost-server move` again, or delete {}/moving", path.display(), path.display())]
    Moving {
        /// The folder.
        path: PathBuf,
    },
    /// The store was moved elsewhere.
    #[error(
        "what was here was moved to another store; start the server with --store, as that one. To go on from here all the same, \
         without what was sent there since, delete {}",
        note.display()
    )]
    Moved {
        /// The file that marks it as moved.
        note: PathBuf,
    },
    /// Another process has it open.
    #[error("another process uses the data folder {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is on a network file system, or on one that a program serves.
    #[error(
        "{} is on {kind}, which may lose what was accepted; use a local disk, or set allow_unsafe_filesystem = true \
         under [store] if this one keeps what fsync promises",
        path.display()
    )]
    UnsafeFileSystem {
        /// The folder.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// What is written would not survive a power cut.
    #[error("the store would not be durable: {0}")]
    NotDurable(&'static str),
    /// The database is damaged, or is not one of Sealpost.
    #[error(
        "{} cannot be used: {what}. `sealpost-server verify` says what of it can still be read, \
         `sealpost-server restore --replace` goes back to a backup", path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A restore into the folder was interrupted.
    #[error("a restore into {} was interrupted; run `sealpost-server restore --replace` again", path.display())]
    Restoring {
        /// The folder.
        path: PathBuf,
    },
    /// The database was written by a newer program.
    #[error("the database has version {found}, and this program knows versions up to {known}; use a newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database refused.
    #[error("the database could not be opened")]
    Database(#[from] rusqlite::Error),
    /// A thread could not be started.
    #[error("a thread of the store could not be started")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Turns a report of damage by the database into an error that says what to do; other errors stay as they are.
    pub(super) fn or_damaged(self, database: &Path) -> Self {
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(failure, _))
                if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
            {
                Self::Damaged { path: database.to_owned(), what: "pages of it are damaged" }
            }
            error => error,
        }
    }
}
