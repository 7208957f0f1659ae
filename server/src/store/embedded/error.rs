//! What can go wrong in the database, and which of that ends the store.

use rusqlite::ErrorCode;
use sealpost_sabotage::{Countermeasure, refuses};

use crate::store::error::StoreError;

/// Why an operation on the database gave no answer.
#[derive(Debug)]
pub(super) enum DbError {
    /// The operation answers this error and has written **nothing**: the transaction goes on without it.
    Answer(StoreError),
    /// A row holds something that cannot be true.
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
    /// Returns whether the writer must stop for good. After a failed write or fsync the contents of the disk are
    /// unknown, and a second fsync that succeeds proves nothing, because Linux marks the pages clean. A damaged
    /// database is not written to either.
    pub(super) fn is_fatal(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = self else { return false };
        let is_fatal = matches!(
            failure.code,
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
        );
        refuses(Countermeasure::FatalSync, is_fatal)
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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: std::ffi::c_int) -> DbError {
        DbError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    /// What leaves the contents of the disk unknown ends the store; what SQLite rolls back does not.
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
