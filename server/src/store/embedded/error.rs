//! What can go wrong inside the embedded store, and what of it ends the store.

use rusqlite::ErrorCode;

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
        matches!(
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
