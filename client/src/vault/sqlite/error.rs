//! What an error of SQLite means for the vault.

use rusqlite::ErrorCode;

use crate::vault::error::VaultError;

/// Returns what a database error means. Its text names tables and files, never values.
pub(super) fn database(error: &rusqlite::Error) -> VaultError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => VaultError::Damaged { what: "file" },
        // Every statement keeps to the constraints, unless the rows that it counts on were changed from outside.
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => VaultError::Damaged { what: "table" },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => VaultError::InUse,
        Some(_) => VaultError::Storage { reason: error.to_string() },
        None => match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => VaultError::Damaged { what: "table" },
            other => VaultError::Storage { reason: other.to_string() },
        },
    }
}
