//! Vaults in files of one user: made whole or not at all, and refused when others could have read or changed them.

mod head;
pub(super) mod modes;

use std::fs;
use std::path::Path;

use rusqlite::OpenFlags;

use super::error::VaultError;
use super::keyring::{Keyring, LocalKeyring, VaultKeySource};
use super::sealing::KdfParameters;
use super::sqlite::{Vault, connect};

impl Vault {
    /// Makes a new vault at `path`, and opens it; its folder is made when absent. A crash on the way leaves nothing at
    /// `path`.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when there is something at `path`, [`VaultError::Damaged`] when only the journal of a lost
    /// vault is, [`VaultError::LooseMode`] of an existing folder, [`VaultError::KeyringUnavailable`],
    /// [`VaultError::Storage`].
    pub fn create(path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        Self::create_with(path, source, KdfParameters::default())
    }

    /// Makes a vault as [`create`](Self::create) does, with another cost of trying a passphrase, which the file then has.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`VaultError::Damaged`] for a cost that would not be accepted from a file.
    pub fn create_with(path: &Path, source: &VaultKeySource, cost: KdfParameters) -> Result<Self, VaultError> {
        Self::create_in(&LocalKeyring, path, source, cost)
    }

    /// Opens the vault at `path`. A file that is refused is not changed.
    ///
    /// # Errors
    /// [`VaultError::Locked`] with a wrong passphrase, [`VaultError::OtherKeySource`], [`VaultError::KeyringUnavailable`],
    /// [`VaultError::Damaged`] of a shortened, foreign or changed file, [`VaultError::Newer`], [`VaultError::LooseMode`],
    /// [`VaultError::InUse`] when another process still has it after two seconds, [`VaultError::Storage`].
    pub fn open(path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        Self::open_in(&LocalKeyring, path, source)
    }

    pub(super) fn create_in(
        keyring: &dyn Keyring,
        path: &Path,
        source: &VaultKeySource,
        cost: KdfParameters,
    ) -> Result<Self, VaultError> {
        modes::private_folder(path)?;
        modes::refuse_remains(path)?;
        let beginning = path.with_extension("new");
        modes::remove_with_journals(&beginning)?;
        modes::new_private_file(&beginning)?;
        Self::write_new(keyring, || connect(&beginning, OpenFlags::empty()), source, cost)?;
        fs::rename(&beginning, path).map_err(|error| modes::storage(&error))?;
        modes::sync_folder(path)?;
        Self::open_in(keyring, path, source)
    }

    pub(super) fn open_in(keyring: &dyn Keyring, path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        modes::refuse_loose_file(path)?;
        head::check_file(path)?;
        Self::open_over(keyring, connect(path, OpenFlags::empty())?, source)
    }
}
