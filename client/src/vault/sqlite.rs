//! The vault in an SQLite file: every value sealed, every look-up key blinded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rand_core::Rng as _;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::header::{self, Header, KeptIn, State, VaultId};
use super::key::{self, KdfParameters, VaultKeySource, Wrapped};
use super::keyring::{Entry, Keyring, SecretServiceKeyring};
use super::sealing::Sealer;
use super::transaction::SqliteTransaction;
use super::{VaultError, VaultTransaction, files};

/// How long a second process waits for the first one to close the vault; the profile's lock keeps them apart anyway.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// Every statement of a transaction stays prepared: there are about a dozen.
const PREPARED_MAX: usize = 32;

/// An open vault. It is locked against every other process until it is dropped: two engines over one vault would use the
/// same ratchet keys twice.
pub struct Vault {
    pub(super) connection: Connection,
    sealer: Sealer,
    pub(super) key: Zeroizing<[u8; 32]>,
    state: State,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connection: _, sealer: _, key: _, state: State { generation, rolled_back } } = self;
        write!(formatter, "Vault(generation {generation}, rolled back: {rolled_back})")
    }
}

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

    /// As [`create`](Self::create), with another cost of trying a passphrase. The cost is stored in the file.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`VaultError::Damaged`] for a cost that would not be accepted from a file.
    pub fn create_with(path: &Path, source: &VaultKeySource, cost: KdfParameters) -> Result<Self, VaultError> {
        Self::create_in(&SecretServiceKeyring, path, source, cost)
    }

    /// Opens the vault at `path`. A file that is refused is not changed.
    ///
    /// # Errors
    /// [`VaultError::Locked`] with a wrong passphrase, [`VaultError::OtherKeySource`], [`VaultError::KeyringUnavailable`],
    /// [`VaultError::Damaged`] of a shortened, foreign or changed file, [`VaultError::Newer`], [`VaultError::LooseMode`],
    /// [`VaultError::InUse`] when another process still has it after two seconds, [`VaultError::Storage`].
    pub fn open(path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        Self::open_in(&SecretServiceKeyring, path, source)
    }

    pub(super) fn create_in(
        keyring: &dyn Keyring,
        path: &Path,
        source: &VaultKeySource,
        cost: KdfParameters,
    ) -> Result<Self, VaultError> {
        files::private_folder(path)?;
        files::refuse_remains(path)?;
        let beginning = path.with_extension("new");
        files::remove_with_journals(&beginning)?;
        files::new_private_file(&beginning)?;
        write_new(keyring, &beginning, source, cost)?;
        fs::rename(&beginning, path).map_err(|error| files::storage(&error))?;
        files::sync_folder(path)?;
        Self::open_in(keyring, path, source)
    }

    pub(super) fn open_in(keyring: &dyn Keyring, path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        files::refuse_loose_file(path)?;
        header::check_file(path)?;
        let mut connection = connect(path)?;
        header::check_schema(&connection)?;
        let header = Header::read(&connection)?;
        let (key, seen_generation) = vault_key(keyring, &header, source)?;
        let sealer = Sealer::new(&key)?;
        let state = header.state(&sealer)?;
        // From here on it is known to be ours, and may be written.
        settle_journal(&connection)?;
        let state = State {
            generation: state.generation.max(seen_generation).saturating_add(1),
            rolled_back: state.rolled_back || state.generation < seen_generation,
        };
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| database(&error))?;
        state.write(&transaction, &sealer)?;
        transaction.commit().map_err(|error| database(&error))?;
        // After the commit: a key ring that is ahead of the file would mean a roll-back that never happened.
        if let VaultKeySource::Keyring { label } = source {
            keyring.save(label, &header.vault_id, &Entry { key: key.clone(), generation: state.generation })?;
        }
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Ok(Self { connection, sealer, key, state })
    }

    /// How often it was opened.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Whether the key ring has seen a newer generation of this vault: this file was restored from an older copy, and its
    /// ratchets must not send (DESIGN §6). It stays true over openings until [`settle_rollback`](Self::settle_rollback).
    /// Always false for a vault that was under a passphrase all along.
    #[must_use]
    pub const fn rolled_back(&self) -> bool {
        self.state.rolled_back
    }

    /// Forgets the roll-back, once everything that follows from it is stored.
    ///
    /// # Errors
    /// [`VaultError::Storage`]
    pub fn settle_rollback(&mut self) -> Result<(), VaultError> {
        let state = State { rolled_back: false, ..self.state };
        state.write(&self.connection, &self.sealer)?;
        self.state = state;
        Ok(())
    }

    /// Makes the disk full for whatever needs more than this many pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }

    /// Runs `body` in a transaction: committed and synced to the disk when this returns without an error, else all is as
    /// before.
    ///
    /// # Errors
    /// What `body` returns, or a [`VaultError`] of the transaction itself.
    pub fn transaction<T, E: From<VaultError>>(
        &mut self,
        body: impl FnOnce(&mut dyn VaultTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| database(&error))?;
        let result = body(&mut SqliteTransaction::new(&transaction, &self.sealer))?;
        transaction.commit().map_err(|error| database(&error))?;
        Ok(result)
    }

    /// Wraps the vault key under another passphrase, at the default cost; also if it was in the key ring until now, which
    /// then is asked no more. What the file had before is overwritten.
    ///
    /// # Errors
    /// [`VaultError::Storage`]; the old passphrase is still good then.
    pub fn change_passphrase(&mut self, passphrase: &str) -> Result<(), VaultError> {
        let wrapped = Wrapped::wrap(&self.key, passphrase, KdfParameters::default())?;
        let cost = wrapped.parameters;
        self.connection
            .execute(
                "UPDATE header SET key_source = 1, memory_kib = ?1, passes = ?2, lanes = ?3, salt = ?4, wrapped_key = ?5",
                params![cost.memory_kib, cost.passes, cost.lanes, wrapped.salt, wrapped.sealed],
            )
            .map_err(|error| database(&error))?;
        // The old wrapping must not wait in the journal or the file for who learns the old passphrase.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| database(&error))
    }
}

/// Writes a whole vault into an empty file, and closes it.
fn write_new(
    keyring: &dyn Keyring,
    path: &Path,
    source: &VaultKeySource,
    cost: KdfParameters,
) -> Result<(), VaultError> {
    let key = key::generate();
    let mut vault_id = VaultId::default();
    rand::rng().fill_bytes(&mut vault_id);
    let wrapped = match source {
        VaultKeySource::Passphrase(passphrase) => Some(Wrapped::wrap(&key, passphrase, cost)?),
        VaultKeySource::Keyring { label } => {
            keyring.save(label, &vault_id, &Entry { key: key.clone(), generation: 0 })?;
            None
        }
    };
    let mut connection = connect(path)?;
    Header::new(vault_id, wrapped, &Sealer::new(&key)?)?.write_new(&mut connection)?;
    settle_journal(&connection)?;
    connection.close().map_err(|(_, error)| database(&error))
}

/// The vault key, and the generation that the key ring has seen (0 without one).
fn vault_key(
    keyring: &dyn Keyring,
    header: &Header,
    source: &VaultKeySource,
) -> Result<(Zeroizing<[u8; 32]>, u64), VaultError> {
    match (source, header.kept_in) {
        (VaultKeySource::Passphrase(passphrase), KeptIn::File) => Ok((header.wrapped.unwrap(passphrase)?, 0)),
        (VaultKeySource::Keyring { label }, KeptIn::Keyring) => {
            let entry = keyring.load(label, &header.vault_id)?;
            Ok((entry.key, entry.generation))
        }
        (VaultKeySource::Passphrase(_), KeptIn::Keyring) => {
            Err(VaultError::OtherKeySource { kept: "in the key ring (--keyring)" })
        }
        (VaultKeySource::Keyring { .. }, KeptIn::File) => {
            Err(VaultError::OtherKeySource { kept: "under a passphrase" })
        }
    }
}

/// Opens the file as one that is not trusted, and so that closing it again changes nothing in it.
fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_PATIENCE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;")?;
        Ok(connection)
    };
    open().map_err(|error| database(&error))
}

/// How the file is written from now on: synced with every commit, and without what was deleted.
fn settle_journal(connection: &Connection) -> Result<(), VaultError> {
    let settle = || {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;",
        )?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(|_| ())
    };
    settle().map_err(|error| database(&error))
}

/// What a database error means. Its text names tables and files, never values.
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
