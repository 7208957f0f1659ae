//! The vault in an SQLite database: every value sealed, every look-up key blinded. Where the database lies — in a file, or
//! in a browser's storage — and who may open it is the business of the modules that connect to it.

mod connection;
mod error;
mod header;
mod schema;
mod transaction;
mod vault;

pub(super) use connection::connect;
pub(super) use schema::is_empty;
#[cfg(feature = "files")]
pub(super) use schema::{APPLICATION_ID, FORMAT};
#[cfg(test)]
pub(super) use transaction::SqliteTransaction;
pub use vault::Vault;
