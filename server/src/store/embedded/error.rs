//! What can go wrong inside the embedded store, and what of it ends the store.

use sealpost_sabotage::{Countermeasure, without};
use std::path::Path;

use rusqlite::ErrorCode;

use super::OpenError;
use super::files::Folder;
use crate::store::StoreError;

/// Why an operation on the database gave no answer.
#[derive(Debug)]
pub(super) enum DbError {
    /// The answer is this error, and **nothing was written**: the transaction goes on without this operation.
    Answer(StoreError),
    /// A row cannot be true.
    Corrupt(&'static str),
    /// The database's own error.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl DbError {
    /// Whether the writer must stop for good. After a failed write or fsync nobody knows what the disk holds, and a
    /// second fsync that succeeds proves nothing (Linux marks the pages clean). A damaged database is not written to.
    pub(super) fn is_fatal(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = self else { return false };
        !without(Countermeasure::FatalSync)
            && matches!(
                failure.code,
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::FileLockingProtocolFailed
            )
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        use rusqlite::Error;
        match error {
            DbError::Answer(answer) => answer,
            DbError::Corrupt(what) => Self::Corrupt(what),
            DbError::Sqlite(Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::DiskFull => Self::DiskFull,
            DbError::Sqlite(Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::DatabaseCorrupt => {
                Self::Corrupt("a page of the database is damaged")
            }
            DbError::Sqlite(
                Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..),
            ) => Self::Corrupt("a value has another form than it was written with"),
            DbError::Sqlite(error) => Self::Failed(error.to_string().into()),
        }
    }
}

impl OpenError {
    /// The same error; where the database says that it is damaged, one that says what to do.
    pub(super) fn or_damaged(self, folder: &Folder) -> Self {
        self.or_damaged_at(&folder.database())
    }

    /// See [`or_damaged`](Self::or_damaged).
    pub(super) fn or_damaged_at(self, database: &Path) -> Self {
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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: std::ffi::c_int) -> DbError {
        DbError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    /// Whatever leaves it open what the disk holds ends the store; what SQLite rolls back does not.
    #[test]
    fn a_failed_fsync_is_fatal_and_a_full_disk_is_not() {
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_TRUNCATE,
            ffi::SQLITE_CORRUPT_VTAB,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOTADB,
        ] {
            assert!(failure(code).is_fatal(), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_NOMEM, ffi::SQLITE_CONSTRAINT_UNIQUE] {
            assert!(!failure(code).is_fatal(), "{code}");
        }
        assert_eq!(StoreError::from(failure(ffi::SQLITE_FULL)), StoreError::DiskFull);
        assert!(!DbError::Answer(StoreError::DiskFull).is_fatal() && !DbError::Corrupt("a row").is_fatal());
    }
}
