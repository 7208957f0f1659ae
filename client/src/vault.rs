//! The port to a client's memory: an encrypted vault with transactions. No I/O here; the adapters do that.
//!
//! An engine is handed one [`VaultTransaction`] and leaves all that must survive in it; whoever runs the engine commits.
//! So the step of a ratchet, the message that it opened and the outbox change together or not at all (DESIGN §11).
//!
//! With the feature `native`, `Vault` is the adapter over an encrypted SQLite file:
//!
//! ```
//! # #[cfg(feature = "native")]
//! # fn main() -> Result<(), sealpost_client::vault::VaultError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("profile/vault.db");
//! use sealpost_client::vault::{KdfParameters, Table, Vault, VaultError, VaultKeySource};
//!
//! let source = VaultKeySource::Passphrase("correct horse".to_owned().into());
//! # let cheap = KdfParameters { memory_kib: 8, passes: 1, lanes: 1 };
//! # let mut vault = Vault::create_with(&path, &source, cheap)?;
//! # vault.transaction(|vault| vault.put(Table::Meta, b"greeting", b"hello"))?;
//! # drop(vault);
//! let mut vault = Vault::open(&path, &source)?; // or `Vault::create`
//! let value = vault.transaction(|vault| vault.get(Table::Meta, b"greeting"))?;
//! assert_eq!(value.as_deref().map(Vec::as_slice), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "native"))]
//! # fn main() {}
//! ```
//!
//! # The API of the SQLite vault
//!
//! ```text
//! enum VaultKeySource { Passphrase(Zeroizing<String>), Keyring { label: String } }
//! struct KdfParameters { memory_kib: u32, passes: u32, lanes: u32 }     default 65,536 · 3 · 1; stored in the file
//! Vault::create(&Path, &VaultKeySource) -> Result<Vault, VaultError>
//! Vault::create_with(&Path, &VaultKeySource, KdfParameters) -> Result<Vault, VaultError>
//! Vault::open(&Path, &VaultKeySource) -> Result<Vault, VaultError>
//! vault.transaction(|&mut dyn VaultTransaction| -> Result<T, E>) -> Result<T, E>    where E: From<VaultError>
//! vault.change_passphrase(&str) -> Result<(), VaultError>
//! vault.generation() -> u64
//! vault.rolled_back() -> bool                    the key ring has seen a newer one; until settle_rollback()
//! vault.settle_rollback() -> Result<(), VaultError>
//! ```
//!
//! # What is not hidden, and not prevented
//!
//! Who has the file sees how many rows each table and list has, how long each is, and in which order lists grew. Who may
//! write to it can remove rows, put back an older value of the same row, or restore the whole file: each value is bound to
//! its place, not to its time. The whole file is noticed with a key ring, and by the server's count of messages (DESIGN §6).
//! What was deleted is overwritten in the file when its journal is written back, at the latest when the vault is closed; what
//! a drive keeps of old blocks is beyond reach, but sealed.

#[cfg(feature = "native")]
mod files;
#[cfg(feature = "native")]
mod header;
#[cfg(feature = "native")]
mod key;
#[cfg(feature = "native")]
mod keyring;
#[cfg(feature = "native")]
mod sealing;
#[cfg(feature = "native")]
mod sqlite;
#[cfg(test)]
#[cfg(feature = "native")]
mod tests;
#[cfg(feature = "native")]
mod transaction;

#[cfg(feature = "native")]
pub use key::{KdfParameters, VaultKeySource};
#[cfg(feature = "native")]
pub use sqlite::Vault;
use zeroize::Zeroizing;

/// A keyed map of the vault. The number is part of the stored form and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Single records: session, counters, server.
    Meta = 1,
    /// The account's and the device's keys.
    Identity = 2,
    /// Contacts by account id.
    Contact = 3,
    /// Ratchet sessions by device address.
    Session = 4,
    /// Received messages that wait to be shown.
    Inbox = 5,
    /// Private halves of prekeys.
    Prekey = 6,
    // 7 is not used.
    /// Requests that are stored before they are sent.
    Request = 8,
    /// Sealed frames by number.
    Sealed = 9,
    /// What is remembered of each remote device.
    Peer = 10,
    /// Numbers and hashes that were delivered.
    Seen = 11,
    /// Messages that were shown.
    Shown = 12,
    /// Records of what was sent, by number.
    Sent = 13,
}

/// An append-only list of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Log {
    /// Messages in and out.
    History = 1,
    /// What waits to be sent.
    Outbox = 2,
    /// What is to be shown once.
    Notice = 3,
}

/// Why the vault can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Something in it is not what was written. Nothing was changed.
    #[error("the vault is damaged: its {what} cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// The passphrase is not the one it was sealed under.
    #[error("the vault is locked: the passphrase is wrong")]
    Locked,
    /// It is kept in the key ring, or under a passphrase, and the other was asked for.
    #[error("the vault's key is kept {kept}, not where it was looked for")]
    OtherKeySource {
        /// Where it is.
        kept: &'static str,
    },
    /// There is no Secret Service, or it has no key for this vault.
    #[error("the key ring cannot be used ({reason}); a vault under a passphrase needs none")]
    KeyringUnavailable {
        /// What is missing.
        reason: &'static str,
    },
    /// It was written by a newer program.
    #[error("the vault was written by a newer version (format {format}); use that version")]
    Newer {
        /// The format's number.
        format: i64,
    },
    /// Others on this machine may read it.
    #[error("{path} can be opened by other users; run: chmod {wanted:o} {path}")]
    LooseMode {
        /// Which file or folder.
        path: String,
        /// The mode it should have.
        wanted: u32,
    },
    /// There is something at this path already.
    #[error("there is a vault already")]
    Exists,
    /// Another process is writing to it.
    #[error("another process uses the vault")]
    InUse,
    /// The storage failed.
    #[error("the vault's storage failed{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Storage {
        /// What the system or the database says; never what is stored.
        reason: String,
    },
}

/// A value read from the vault, wiped when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// One open transaction.
pub trait VaultTransaction {
    /// The value of a key.
    ///
    /// # Errors
    /// [`VaultError`]
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Value>, VaultError>;
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`VaultError`]
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError>;
    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// [`VaultError`]
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, VaultError>;
    /// All keys and values of a small table.
    ///
    /// # Errors
    /// [`VaultError`]
    fn entries(&mut self, table: Table) -> Result<Vec<(Value, Value)>, VaultError>;
    /// How many keys there are.
    ///
    /// # Errors
    /// [`VaultError`]
    fn count(&mut self, table: Table) -> Result<u64, VaultError>;
    /// Appends; the new position, which rises and is never used again.
    ///
    /// # Errors
    /// [`VaultError`]
    fn append(&mut self, log: Log, value: &[u8]) -> Result<u64, VaultError>;
    /// Replaces the value at a position.
    ///
    /// # Errors
    /// [`VaultError`]
    fn replace(&mut self, log: Log, position: u64, value: &[u8]) -> Result<(), VaultError>;
    /// Removes a position; whether it was there.
    ///
    /// # Errors
    /// [`VaultError`]
    fn remove(&mut self, log: Log, position: u64) -> Result<bool, VaultError>;
    /// At most `limit` values from a position on, ascending.
    ///
    /// # Errors
    /// [`VaultError`]
    fn read(&mut self, log: Log, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError>;
    /// At most `limit` values before a position, descending.
    ///
    /// # Errors
    /// [`VaultError`]
    fn read_back(&mut self, log: Log, before: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError>;
    /// The last position that holds a value.
    ///
    /// # Errors
    /// [`VaultError`]
    fn last(&mut self, log: Log) -> Result<Option<u64>, VaultError>;
}
