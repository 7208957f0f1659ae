//! Why a database cannot be used. The texts never hold the connection string.

use mongodb::error::Error;

use super::error::{self, DbError};
use crate::store::error::StoreError;

/// Why a database could not be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string cannot be used.
    #[error(
        "the connection string of the store cannot be used: {0}; it looks like mongodb://user:password@host:27017/sealpost?replicaSet=rs0"
    )]
    Address(&'static str),
    /// The database cannot be reached, or refused.
    #[error("MongoDB cannot be used: {0}")]
    Database(String),
    /// The database was written by a newer program.
    #[error("the database has version {found}, and this program knows versions up to {known}; use a newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Another node has been bringing the schema up to date for too long.
    #[error("another node is bringing the database's schema up to date; try again in a minute")]
    Migrating,
    /// The promises would not hold on this database.
    #[error("MongoDB cannot be used as it is: {0}")]
    Unfit(String),
    /// The database holds something that cannot be true.
    #[error("the database holds something that Sealpost did not write: {0}")]
    Damaged(&'static str),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Database(error::describe(&error))
    }
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Corrupt(what) => Self::Damaged(what),
            DbError::Contended => Self::Migrating,
            DbError::Mongo(error) => (*error).into(),
            other @ (DbError::Behind | DbError::Slow) => Self::Database(StoreError::from(other).to_string()),
        }
    }
}
