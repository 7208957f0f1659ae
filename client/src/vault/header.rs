//! The head of a vault's file: which format it has, and what is needed to open it.
//!
//! The first 100 bytes are looked at before SQLite is: a foreign, shortened or newer file is refused without a lock, a
//! journal or a byte written. Then the schema must be, word for word, the one below, because a file from elsewhere could
//! bring views and triggers of its own.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::key::{KdfParameters, SALT_LEN, Wrapped};
use super::sealing::{Place, Sealer};
use super::sqlite::database;
use super::{VaultError, files};

/// The first bytes of every SQLite 3 file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where SQLite keeps the size of a page, u16 be, in bytes (1 stands for 65,536, which no vault has).
const PAGE_SIZE_AT: usize = 16;
/// Where SQLite keeps the number of pages, u32 be.
const PAGE_COUNT_AT: usize = 28;
/// Where SQLite keeps `PRAGMA user_version`, u32 be.
const USER_VERSION_AT: usize = 60;
/// Where SQLite keeps `PRAGMA application_id`, u32 be.
const APPLICATION_ID_AT: usize = 68;
/// Length of SQLite's file header.
const FILE_HEADER_LEN: usize = 100;

/// `PRAGMA application_id`: "Sea\u{1}". Tells a vault from other databases.
const APPLICATION_ID: u32 = 0x5365_6101;
/// `PRAGMA user_version`: the schema's version.
const FORMAT: u32 = 1;

/// Length of the random name under which a key ring knows the vault.
const VAULT_ID_LEN: usize = 16;
/// The random name of a vault. The key ring finds its key by it, so that a new profile never overwrites another's key.
pub(super) type VaultId = [u8; VAULT_ID_LEN];

/// The tables, in the order of their names.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE entry (
    tab   INTEGER NOT NULL,
    key   BLOB NOT NULL,               -- HMAC of the look-up key
    value BLOB NOT NULL,               -- sealed
    PRIMARY KEY (tab, key)
) STRICT, WITHOUT ROWID",
    "CREATE TABLE header (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    vault_id    BLOB NOT NULL,
    key_source  INTEGER NOT NULL,      -- 1: wrapped under a passphrase, 2: in the key ring
    memory_kib  INTEGER NOT NULL,
    passes      INTEGER NOT NULL,
    lanes       INTEGER NOT NULL,
    salt        BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    state       BLOB NOT NULL          -- sealed
) STRICT",
    "CREATE TABLE list (
    log      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    value    BLOB NOT NULL,            -- sealed
    PRIMARY KEY (log, position)
) STRICT, WITHOUT ROWID",
    "CREATE TABLE list_head (
    log  INTEGER PRIMARY KEY,
    next INTEGER NOT NULL              -- never given again
) STRICT",
];

/// Refuses a file that is no vault, one of a newer version, or one that was cut off, by its first bytes alone.
pub(super) fn check_file(path: &Path) -> Result<(), VaultError> {
    let damaged = || VaultError::Damaged { what: "file header" };
    let mut bytes = [0_u8; FILE_HEADER_LEN];
    let mut file = File::open(path).map_err(|error| files::storage(&error))?;
    file.read_exact(&mut bytes).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof { damaged() } else { files::storage(&error) }
    })?;
    let number = |at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(damaged)
    };
    if !bytes.starts_with(MAGIC) || number(APPLICATION_ID_AT)? != APPLICATION_ID {
        return Err(damaged());
    }
    match number(USER_VERSION_AT)? {
        FORMAT => {}
        format if format > FORMAT => return Err(VaultError::Newer { format: i64::from(format) }),
        _ => return Err(VaultError::Damaged { what: "format" }),
    }
    // SQLite itself overlooks a last page that is cut off. While a journal waits, pages may rightly be missing here.
    let page_size = number(PAGE_SIZE_AT)? >> 16;
    let whole = u64::from(page_size).saturating_mul(u64::from(number(PAGE_COUNT_AT)?));
    let length = file.metadata().map_err(|error| files::storage(&error))?.len();
    if length < whole && !files::journal_waits(path) {
        return Err(VaultError::Damaged { what: "file (its end is missing)" });
    }
    Ok(())
}

/// Refuses a file whose tables are not exactly ours.
pub(super) fn check_schema(connection: &Connection) -> Result<(), VaultError> {
    let found: Vec<Option<String>> = connection
        .prepare("SELECT sql FROM sqlite_schema ORDER BY name LIMIT 9")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(|error| database(&error))?;
    if found.iter().map(Option::as_deref).eq(SCHEMA.map(Some)) {
        Ok(())
    } else {
        Err(VaultError::Damaged { what: "schema" })
    }
}

/// Who keeps the vault key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptIn {
    /// This file, wrapped under a passphrase.
    File,
    /// The key ring.
    Keyring,
}

/// What a vault says before it is open.
pub(super) struct Header {
    pub(super) vault_id: VaultId,
    pub(super) kept_in: KeptIn,
    pub(super) wrapped: Wrapped,
    sealed_state: Vec<u8>,
}

/// What a vault remembers of its own openings. Sealed, so that who restores an old copy can't make it look new.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// How often it was opened.
    pub(super) generation: u64,
    /// Whether a roll-back was seen and not settled since.
    pub(super) rolled_back: bool,
}

impl Header {
    /// The header of a vault that was never opened.
    pub(super) fn new(vault_id: VaultId, wrapped: Option<Wrapped>, sealer: &Sealer) -> Result<Self, VaultError> {
        let kept_in = if wrapped.is_some() { KeptIn::File } else { KeptIn::Keyring };
        let sealed_state = State { generation: 0, rolled_back: false }.seal(sealer)?;
        Ok(Self { vault_id, kept_in, wrapped: wrapped.unwrap_or_else(Wrapped::nothing), sealed_state })
    }

    /// Makes the tables in an empty file and writes this header, all in one transaction.
    pub(super) fn write_new(&self, connection: &mut Connection) -> Result<(), VaultError> {
        let KdfParameters { memory_kib, passes, lanes } = self.wrapped.parameters;
        let source = match self.kept_in {
            KeptIn::File => 1,
            KeptIn::Keyring => 2,
        };
        let write = |transaction: &Transaction<'_>| {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
            for table in SCHEMA {
                transaction.execute_batch(table)?;
            }
            transaction.execute(
                "INSERT INTO header VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    self.vault_id,
                    source,
                    memory_kib,
                    passes,
                    lanes,
                    self.wrapped.salt,
                    self.wrapped.sealed,
                    self.sealed_state
                ],
            )
        };
        let transaction = connection.transaction().map_err(|error| database(&error))?;
        write(&transaction).and_then(|_| transaction.commit()).map_err(|error| database(&error))
    }

    /// Reads the header of an existing vault.
    pub(super) fn read(connection: &Connection) -> Result<Self, VaultError> {
        let damaged = || VaultError::Damaged { what: "header" };
        let (source, mut header) = connection
            .query_row(
                "SELECT key_source, vault_id, memory_kib, passes, lanes, salt, wrapped_key, state \
                 FROM header WHERE id = 1",
                [],
                |row| {
                    let parameters = KdfParameters { memory_kib: row.get(2)?, passes: row.get(3)?, lanes: row.get(4)? };
                    let salt: [u8; SALT_LEN] = row.get(5)?;
                    let wrapped = Wrapped { parameters, salt, sealed: row.get(6)? };
                    let header =
                        Self { vault_id: row.get(1)?, kept_in: KeptIn::File, wrapped, sealed_state: row.get(7)? };
                    Ok((row.get::<_, i64>(0)?, header))
                },
            )
            .optional()
            .map_err(|error| database(&error))?
            .ok_or_else(damaged)?;
        header.kept_in = match source {
            1 => KeptIn::File,
            2 => KeptIn::Keyring,
            _ => return Err(damaged()),
        };
        Ok(header)
    }

    /// The sealed part.
    pub(super) fn state(&self, sealer: &Sealer) -> Result<State, VaultError> {
        let damaged = || VaultError::Damaged { what: "header" };
        let bytes = sealer.open(Place::State, &self.sealed_state, "header")?;
        let (generation, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let rolled_back = match rest {
            [0] => false,
            [1] => true,
            _ => return Err(damaged()),
        };
        Ok(State { generation: u64::from_be_bytes(*generation), rolled_back })
    }
}

impl State {
    fn seal(self, sealer: &Sealer) -> Result<Vec<u8>, VaultError> {
        sealer.seal(Place::State, &[&self.generation.to_be_bytes(), &[u8::from(self.rolled_back)]])
    }

    /// Replaces the state of this vault.
    pub(super) fn write(self, connection: &Connection, sealer: &Sealer) -> Result<(), VaultError> {
        connection
            .execute("UPDATE header SET state = ?1", [self.seal(sealer)?])
            .map(|_| ())
            .map_err(|error| database(&error))
    }
}
