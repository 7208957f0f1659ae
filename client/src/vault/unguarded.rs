//! Vaults wherever SQLite puts a database by its name, with nothing checked about who else may read or change it. In a
//! browser that is the way, because the browser keeps other origins away; for files of a machine, `files` adds the checks.

use std::path::Path;

use rusqlite::OpenFlags;

use super::error::VaultError;
use super::keyring::{LocalKeyring, VaultKeySource};
use super::sealing::KdfParameters;
use super::sqlite::{Vault, connect, is_empty};

impl Vault {
    /// Makes a new vault of this name, and opens it. A crash on the way leaves an empty database, which is no vault.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when the database is not empty, [`VaultError::KeyringUnavailable`], [`VaultError::Storage`].
    pub fn create_unguarded(name: &Path, source: &VaultKeySource, cost: KdfParameters) -> Result<Self, VaultError> {
        let connect = || {
            let connection = connect(name, OpenFlags::SQLITE_OPEN_CREATE)?;
            if is_empty(&connection)? { Ok(connection) } else { Err(VaultError::Exists) }
        };
        Self::write_new(&LocalKeyring, connect, source, cost)?;
        Self::open_unguarded(name, source)
    }

    /// Opens the vault of this name.
    ///
    /// # Errors
    /// [`VaultError::Locked`] with a wrong passphrase, [`VaultError::OtherKeySource`], [`VaultError::KeyringUnavailable`],
    /// [`VaultError::Damaged`] when the database is not a vault, [`VaultError::Storage`] when there is none.
    pub fn open_unguarded(name: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        Self::open_over(&LocalKeyring, connect(name, OpenFlags::empty())?, source)
    }
}
