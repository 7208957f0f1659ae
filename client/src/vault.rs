//! A client's memory: an encrypted vault with transactions, as a port and as adapters.
//!
//! An engine is handed one [`VaultTransaction`] and leaves in it all that must survive; the caller of the engine commits.
//! So the step of a ratchet, the message that it opened and the outbox change together or not at all.
//!
//! ```text
//! port, error     what an engine asks for                                          always there; no I/O
//! sealing         vault key, passphrase, sealed values, blinded look-up keys       feature `vault`; knows no database
//! sqlite          `Vault`: schema, header and transactions of an SQLite database   feature `vault`
//! keyring         where a vault key can be kept; the Secret Service is one         feature `vault`; `keyring` for the latter
//! unguarded       vaults wherever SQLite puts a name, without a check              feature `vault`
//! browser         SQLite in a browser's private file system                        feature `vault`, wasm32 only
//! files           vaults in files: modes, first bytes, journals, a crash           feature `files`
//! ```
//!
//! With files, one that is made, written to and opened again:
//!
//! ```
//! # #[cfg(feature = "files")]
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
//! # #[cfg(not(feature = "files"))]
//! # fn main() {}
//! ```
//!
//! # What is not hidden, and not prevented
//!
//! A thief of the file sees how many rows each table and list has, how long each is, and in which order lists grew. A person
//! who can write to it can remove rows, put back an older value of the same row, or restore the whole file: each value is
//! bound to its place, not to its time. A restored file is noticed with a key ring, and by the server's count of messages.
//! Deleted values are overwritten in the file when its journal is written back, at the latest when the vault is closed. Old
//! blocks that a drive keeps are beyond reach, but sealed.

#[cfg(all(feature = "vault", target_family = "wasm", target_os = "unknown"))]
pub mod browser;
mod error;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "vault")]
mod keyring;
mod port;
#[cfg(feature = "vault")]
mod sealing;
#[cfg(feature = "vault")]
mod sqlite;
#[cfg(test)]
#[cfg(feature = "files")]
mod tests;
#[cfg(feature = "vault")]
mod unguarded;

pub use error::VaultError;
#[cfg(feature = "vault")]
pub use keyring::VaultKeySource;
pub use port::{Log, Table, Value, VaultTransaction};
#[cfg(feature = "vault")]
pub use sealing::KdfParameters;
#[cfg(feature = "vault")]
pub use sqlite::Vault;
