//! Where a store is.

use std::path::PathBuf;

use crate::base::config::StoreAddress;

/// Where a store is. It may hold a password, so it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// In this folder, used by one process.
    Folder(PathBuf),
    /// In the database server with this address, which several nodes may use.
    Server(String),
}

impl Location {
    /// Returns where the store is that the configuration names. Asks for the data folder only if the store is there.
    ///
    /// # Errors
    /// Those of `data`.
    pub fn of<E>(address: StoreAddress, data: impl FnOnce() -> Result<PathBuf, E>) -> Result<Self, E> {
        Ok(match address {
            StoreAddress::DataFolder => Self::Folder(data()?),
            StoreAddress::Server(address) => Self::Server(address),
        })
    }
}
