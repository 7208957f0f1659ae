//! The header of a vault: what is needed to open it, and how often it was opened.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::database;
use super::schema;
use crate::vault::error::VaultError;
use crate::vault::keyring::VaultId;
use crate::vault::sealing::{KdfParameters, SALT_LEN, Sealer, State, Wrapped};

/// `key_source`: the key is in this database, wrapped under a passphrase.
const WRAPPED: i64 = 1;
/// `key_source`: the key is in the key ring.
const IN_KEYRING: i64 = 2;

/// Where the vault key is kept.
pub(super) enum KeptKey {
    /// In this database, wrapped under a passphrase.
    Wrapped(Wrapped),
    /// In the key ring.
    InKeyring,
}

/// What a vault tells before it is open.
pub(super) struct Header {
    pub(super) vault_id: VaultId,
    pub(super) key: KeptKey,
    sealed_state: Vec<u8>,
}

impl Header {
    /// Returns the header of a vault that was never opened.
    pub(super) fn new(vault_id: VaultId, key: KeptKey, sealer: &Sealer) -> Result<Self, VaultError> {
        let sealed_state = State::NEW.seal(&mut rand::rng(), sealer)?;
        Ok(Self { vault_id, key, sealed_state })
    }

    /// Makes the tables in an empty database and writes this header, all in one transaction.
    pub(super) fn write_new(&self, connection: &mut Connection) -> Result<(), VaultError> {
        let nothing = Wrapped::nothing();
        let (source, wrapped) = match &self.key {
            KeptKey::Wrapped(wrapped) => (WRAPPED, wrapped),
            KeptKey::InKeyring => (IN_KEYRING, &nothing),
        };
        let KdfParameters { memory_kib, passes, lanes } = wrapped.parameters;
        let mut write = || {
            let transaction = connection.transaction()?;
            schema::create(&transaction)?;
            transaction.execute(
                "INSERT INTO header VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    self.vault_id,
                    source,
                    memory_kib,
                    passes,
                    lanes,
                    wrapped.salt,
                    wrapped.sealed,
                    self.sealed_state
                ],
            )?;
            transaction.commit()
        };
        write().map_err(|error| database(&error))
    }

    /// Reads the header of an existing vault.
    pub(super) fn read(connection: &Connection) -> Result<Self, VaultError> {
        let damaged = || VaultError::Damaged { what: "header" };
        let (source, wrapped, vault_id, sealed_state) = connection
            .query_row(
                "SELECT key_source, vault_id, memory_kib, passes, lanes, salt, wrapped_key, state \
                 FROM header WHERE id = 1",
                [],
                |row| {
                    let parameters = KdfParameters { memory_kib: row.get(2)?, passes: row.get(3)?, lanes: row.get(4)? };
                    let salt: [u8; SALT_LEN] = row.get(5)?;
                    let wrapped = Wrapped { parameters, salt, sealed: row.get(6)? };
                    Ok((row.get::<_, i64>(0)?, wrapped, row.get(1)?, row.get(7)?))
                },
            )
            .optional()
            .map_err(|error| database(&error))?
            .ok_or_else(damaged)?;
        let key = match source {
            WRAPPED => KeptKey::Wrapped(wrapped),
            IN_KEYRING => KeptKey::InKeyring,
            _ => return Err(damaged()),
        };
        Ok(Self { vault_id, key, sealed_state })
    }

    /// Opens the sealed part.
    pub(super) fn state(&self, sealer: &Sealer) -> Result<State, VaultError> {
        State::unseal(sealer, &self.sealed_state)
    }
}

/// Replaces the state of the vault.
pub(super) fn write_state(connection: &Connection, sealer: &Sealer, state: State) -> Result<(), VaultError> {
    connection
        .execute("UPDATE header SET state = ?1", [state.seal(&mut rand::rng(), sealer)?])
        .map(|_| ())
        .map_err(|error| database(&error))
}

/// Replaces the wrapped key of the vault; a key ring is asked no more from then on.
pub(super) fn write_wrapped(connection: &Connection, wrapped: &Wrapped) -> Result<(), VaultError> {
    let KdfParameters { memory_kib, passes, lanes } = wrapped.parameters;
    connection
        .execute(
            "UPDATE header SET key_source = ?1, memory_kib = ?2, passes = ?3, lanes = ?4, salt = ?5, wrapped_key = ?6",
            params![WRAPPED, memory_kib, passes, lanes, wrapped.salt, wrapped.sealed],
        )
        .map(|_| ())
        .map_err(|error| database(&error))
}
