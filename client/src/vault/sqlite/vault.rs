//! An open vault, and how an empty database becomes one.

use rand_core::Rng as _;
use rusqlite::{Connection, TransactionBehavior};

use super::connection::{settle_journal, write_journal_back};
use super::error::database;
use super::header::{Header, KeptKey, write_state, write_wrapped};
use super::schema;
use super::transaction::SqliteTransaction;
use crate::vault::error::VaultError;
use crate::vault::keyring::{Entry, Keyring, VaultId, VaultKeySource};
use crate::vault::port::VaultTransaction;
use crate::vault::sealing::{self, KdfParameters, Sealer, State, VaultKey, Wrapped};

/// Every statement of a transaction stays prepared: there are about a dozen.
const PREPARED_MAX: usize = 32;

/// An open vault. It is locked against every other process until it is dropped: two engines over one vault would use the
/// same ratchet keys twice.
pub struct Vault {
    pub(in crate::vault) connection: Connection,
    sealer: Sealer,
    pub(in crate::vault) key: VaultKey,
    state: State,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connection: _, sealer: _, key: _, state: State { generation, rolled_back } } = self;
        write!(formatter, "Vault(generation {generation}, rolled back: {rolled_back})")
    }
}

impl Vault {
    /// Makes a vault of an empty database in one transaction, and closes it.
    pub(in crate::vault) fn write_new(
        keyring: &dyn Keyring,
        connect: impl FnOnce() -> Result<Connection, VaultError>,
        source: &VaultKeySource,
        cost: KdfParameters,
    ) -> Result<(), VaultError> {
        let rng = &mut rand::rng();
        let key = sealing::generate(rng);
        let mut vault_id = VaultId::default();
        rng.fill_bytes(&mut vault_id);
        let kept = match source {
            VaultKeySource::Passphrase(passphrase) => KeptKey::Wrapped(Wrapped::wrap(rng, &key, passphrase, cost)?),
            VaultKeySource::Keyring { label } => {
                keyring.save(label, &vault_id, &Entry { key: key.clone(), generation: 0 })?;
                KeptKey::InKeyring
            }
        };
        let mut connection = connect()?;
        Header::new(vault_id, kept, &Sealer::new(&key)?)?.write_new(&mut connection)?;
        settle_journal(&connection)?;
        connection.close().map_err(|(_, error)| database(&error))
    }

    /// Opens the vault in a database. A database that is refused is not changed.
    pub(in crate::vault) fn open_over(
        keyring: &dyn Keyring,
        mut connection: Connection,
        source: &VaultKeySource,
    ) -> Result<Self, VaultError> {
        schema::check(&connection)?;
        let header = Header::read(&connection)?;
        let (key, seen_generation) = vault_key(keyring, &header, source)?;
        let sealer = Sealer::new(&key)?;
        let state = header.state(&sealer)?.opened(seen_generation);
        // From here on it is known to be ours, and may be written.
        settle_journal(&connection)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| database(&error))?;
        write_state(&transaction, &sealer, state)?;
        transaction.commit().map_err(|error| database(&error))?;
        // After the commit: a key ring that is ahead of the database would mean a roll-back that never happened.
        if let VaultKeySource::Keyring { label } = source {
            keyring.save(label, &header.vault_id, &Entry { key: key.clone(), generation: state.generation })?;
        }
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Ok(Self { connection, sealer, key, state })
    }

    /// Returns how often the vault was opened.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Returns whether the key ring has seen a newer generation of this vault: it was restored from an older copy, and its
    /// ratchets must not send. Stays true over openings until [`settle_rollback`](Self::settle_rollback). Always false for a
    /// vault that was under a passphrase all along.
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
        write_state(&self.connection, &self.sealer, state)?;
        self.state = state;
        Ok(())
    }

    /// Makes the disk full for anything that needs more than this many pages.
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

    /// Wraps the vault key under another passphrase, at the default cost. A key that was in the key ring is wrapped too, and
    /// the key ring is asked no more. The old wrapping is overwritten.
    ///
    /// # Errors
    /// [`VaultError::Storage`]; the old passphrase is still good then.
    pub fn change_passphrase(&mut self, passphrase: &str) -> Result<(), VaultError> {
        let wrapped = Wrapped::wrap(&mut rand::rng(), &self.key, passphrase, KdfParameters::default())?;
        write_wrapped(&self.connection, &wrapped)?;
        // The old wrapping must not wait in the journal or the database for someone who learns the old passphrase.
        write_journal_back(&self.connection)
    }
}

/// Returns the vault key, and the generation that the key ring has seen (0 without one).
fn vault_key(keyring: &dyn Keyring, header: &Header, source: &VaultKeySource) -> Result<(VaultKey, u64), VaultError> {
    match (source, &header.key) {
        (VaultKeySource::Passphrase(passphrase), KeptKey::Wrapped(wrapped)) => Ok((wrapped.unwrap(passphrase)?, 0)),
        (VaultKeySource::Keyring { label }, KeptKey::InKeyring) => {
            let entry = keyring.load(label, &header.vault_id)?;
            Ok((entry.key, entry.generation))
        }
        (VaultKeySource::Passphrase(_), KeptKey::InKeyring) => {
            Err(VaultError::OtherKeySource { kept: "in the key ring (--keyring)" })
        }
        (VaultKeySource::Keyring { .. }, KeptKey::Wrapped(_)) => {
            Err(VaultError::OtherKeySource { kept: "under a passphrase" })
        }
    }
}
