//! The vault in an SQLite file: every value sealed, every look-up key blinded.
//!
//! What who has the file still sees: how many rows each table has, how long they are, and the order of list positions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::key::{self, KdfParameters, SALT_LEN, VaultKeySource, Wrapped};
use super::sealing::Sealer;
use super::transaction::SqliteTransaction;
use super::{VaultError, VaultTransaction, files, keyring};

/// `PRAGMA application_id`: "Sea\u{1}".
const APPLICATION_ID: i64 = 0x5365_6101;
/// `PRAGMA user_version`: the schema's version.
const FORMAT: i64 = 1;
/// How long a second process waits for the first one's transaction; the profile's lock keeps them apart anyway.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE header (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    generation  INTEGER NOT NULL,
    key_source  INTEGER NOT NULL,      -- 1: wrapped under a passphrase, 2: in the key ring
    memory_kib  INTEGER NOT NULL,
    passes      INTEGER NOT NULL,
    lanes       INTEGER NOT NULL,
    salt        BLOB NOT NULL,
    wrapped_key BLOB NOT NULL
) STRICT;
CREATE TABLE entry (
    tab   INTEGER NOT NULL,
    key   BLOB NOT NULL,               -- HMAC of the look-up key
    value BLOB NOT NULL,               -- sealed
    PRIMARY KEY (tab, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE list (
    log      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    value    BLOB NOT NULL,            -- sealed
    PRIMARY KEY (log, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE list_head (
    log  INTEGER PRIMARY KEY,
    next INTEGER NOT NULL              -- never given again
) STRICT;
";

/// An open vault. One process has it; whoever opens it holds the profile's lock.
pub struct Vault {
    connection: Connection,
    sealer: Sealer,
    key: Zeroizing<[u8; 32]>,
    generation: u64,
    rolled_back: bool,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Vault(generation {})", self.generation)
    }
}

impl Vault {
    /// Makes a new vault at `path`, and opens it. A crash on the way leaves nothing at `path`.
    ///
    /// # Errors
    /// [`VaultError::Exists`] and others.
    pub fn create(path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        Self::create_with(path, source, KdfParameters::default())
    }

    /// As [`create`](Self::create), with another cost of trying a passphrase.
    ///
    /// # Errors
    /// [`VaultError`]
    pub fn create_with(path: &Path, source: &VaultKeySource, cost: KdfParameters) -> Result<Self, VaultError> {
        files::private_folder(path)?;
        if path.exists() {
            return Err(VaultError::Exists);
        }
        let beginning = path.with_extension("new");
        if beginning.exists() {
            fs::remove_file(&beginning).map_err(|error| files::storage(&error))?;
        }
        files::new_private_file(&beginning)?;
        write_new(&beginning, source, cost)?;
        fs::rename(&beginning, path).map_err(|error| files::storage(&error))?;
        files::sync_folder(path)?;
        Self::open(path, source)
    }

    /// Opens the vault at `path`. A file that is refused is not changed.
    ///
    /// # Errors
    /// [`VaultError::Locked`] with a wrong passphrase, [`VaultError::Damaged`], [`VaultError::Newer`],
    /// [`VaultError::LooseMode`] and others.
    pub fn open(path: &Path, source: &VaultKeySource) -> Result<Self, VaultError> {
        files::refuse_loose_file(path)?;
        let mut connection = connect(path)?;
        check_format(&connection)?;
        let header = Header::read(&connection)?;
        let (key, seen_generation) = header.key(source)?;
        let sealer = Sealer::new(&key)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
            .map_err(|error| database(&error))?;
        let rolled_back = header.generation < seen_generation;
        let generation = header.generation.max(seen_generation).saturating_add(1);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| database(&error))?;
        transaction
            .execute("UPDATE header SET generation = ?1", [generation.cast_signed()])
            .map_err(|error| database(&error))?;
        transaction.commit().map_err(|error| database(&error))?;
        if let VaultKeySource::Keyring { label } = source {
            keyring::save(label, &key, generation)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, sealer, key, generation, rolled_back })
    }

    /// How often it was opened.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the key ring has seen a newer generation of this vault: this file is an older copy.
    #[must_use]
    pub const fn rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// Runs `body` in a transaction; committed and synced when it returns without an error, else all is as before.
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

    /// Wraps the vault key under another passphrase, also if it was in the key ring until now.
    ///
    /// # Errors
    /// [`VaultError`]
    pub fn change_passphrase(&mut self, passphrase: &str) -> Result<(), VaultError> {
        let wrapped = Wrapped::wrap(&self.key, passphrase, KdfParameters::default())?;
        let cost = wrapped.parameters;
        self.connection
            .execute(
                "UPDATE header SET key_source = 1, memory_kib = ?1, passes = ?2, lanes = ?3, salt = ?4, wrapped_key = ?5",
                params![cost.memory_kib, cost.passes, cost.lanes, wrapped.salt, wrapped.sealed],
            )
            .map(|_| ())
            .map_err(|error| database(&error))
    }
}

fn write_new(path: &Path, source: &VaultKeySource, cost: KdfParameters) -> Result<(), VaultError> {
    let key = key::generate();
    let (key_source, wrapped) = match source {
        VaultKeySource::Passphrase(passphrase) => (1, Wrapped::wrap(&key, passphrase, cost)?),
        VaultKeySource::Keyring { label } => {
            keyring::save(label, &key, 0)?;
            (2, Wrapped { parameters: cost, salt: [0; SALT_LEN], sealed: Vec::new() })
        }
    };
    let connection = connect(path)?;
    let cost = wrapped.parameters;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID}; \
             BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT};"
        ))
        .and_then(|()| {
            connection.execute(
                "INSERT INTO header VALUES (1, 0, ?1, ?2, ?3, ?4, ?5, ?6)",
                params![key_source, cost.memory_kib, cost.passes, cost.lanes, wrapped.salt, wrapped.sealed],
            )
        })
        .and_then(|_| connection.execute_batch("COMMIT"))
        .map_err(|error| database(&error))?;
    connection.close().map_err(|(_, error)| database(&error))
}

fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| database(&error))?;
    connection.busy_timeout(BUSY_PATIENCE).map_err(|error| database(&error))?;
    Ok(connection)
}

fn check_format(connection: &Connection) -> Result<(), VaultError> {
    let pragma = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|error| database(&error))
    };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(VaultError::Damaged { what: "file header" });
    }
    match pragma("user_version")? {
        FORMAT => Ok(()),
        format if format > FORMAT => Err(VaultError::Newer { format }),
        _ => Err(VaultError::Damaged { what: "format" }),
    }
}

struct Header {
    generation: u64,
    in_keyring: bool,
    wrapped: Wrapped,
}

impl Header {
    fn read(connection: &Connection) -> Result<Self, VaultError> {
        let damaged = || VaultError::Damaged { what: "header" };
        let row = connection
            .query_row(
                "SELECT generation, key_source, memory_kib, passes, lanes, salt, wrapped_key FROM header WHERE id = 1",
                [],
                |row| {
                    let parameters = KdfParameters { memory_kib: row.get(2)?, passes: row.get(3)?, lanes: row.get(4)? };
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, parameters, row.get(5)?, row.get(6)?))
                },
            )
            .optional()
            .map_err(|error| database(&error))?;
        let (generation, key_source, parameters, salt, sealed) = row.ok_or_else(damaged)?;
        let in_keyring = match key_source {
            1 => false,
            2 => true,
            _ => return Err(damaged()),
        };
        Ok(Self { generation: generation.cast_unsigned(), in_keyring, wrapped: Wrapped { parameters, salt, sealed } })
    }

    /// The vault key, and the generation that the key ring has seen (0 without one).
    fn key(&self, source: &VaultKeySource) -> Result<(Zeroizing<[u8; 32]>, u64), VaultError> {
        match (source, self.in_keyring) {
            (VaultKeySource::Passphrase(passphrase), false) => Ok((self.wrapped.unwrap(passphrase)?, 0)),
            (VaultKeySource::Keyring { label }, true) => {
                let entry = keyring::load(label)?;
                Ok((entry.key, entry.generation))
            }
            (VaultKeySource::Passphrase(_), true) => {
                Err(VaultError::OtherKeySource { kept: "in the key ring (--keyring)" })
            }
            (VaultKeySource::Keyring { .. }, false) => Err(VaultError::OtherKeySource { kept: "under a passphrase" }),
        }
    }
}

/// What a database error means. Its text names tables and files, never values.
pub(super) fn database(error: &rusqlite::Error) -> VaultError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => VaultError::Damaged { what: "file" },
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
