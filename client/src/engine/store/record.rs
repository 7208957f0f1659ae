//! What a record says of itself: where it lies, and what to call it when it cannot be read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::engine::error::EngineError;
use crate::vault::{Log, Table, VaultTransaction};

/// A record of which there is one.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// The table.
    const TABLE: Table;
    /// The key in that table.
    const KEY: &'static [u8];
    /// What it is about, for the error when it cannot be read.
    const WHAT: &'static str;
}

/// A record of which there is one for each key.
pub(crate) trait Row: Sized {
    /// What tells the rows of this table apart.
    type Key: Ord + Clone;
    /// The table.
    const TABLE: Table;
    /// What it is about, for the error when it cannot be read.
    const WHAT: &'static str;

    /// Returns the key as bytes.
    fn key_bytes(key: &Self::Key) -> Vec<u8>;
    /// Returns the key that these bytes stand for.
    fn parse_key(bytes: &[u8]) -> Option<Self::Key>;
    /// Returns the row's bytes.
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError>;
    /// Reads the bytes of the row of this key.
    fn decode(key: &Self::Key, bytes: &[u8]) -> Result<Self, EngineError>;
}

/// A record of a log.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    /// The log.
    const LOG: Log;
    /// What it is about, for the error when it cannot be read.
    const WHAT: &'static str;
}

/// Removes all of a table.
pub(crate) fn clear(vault: &mut dyn VaultTransaction, table: Table) -> Result<(), EngineError> {
    for (key, _) in vault.entries(table)? {
        vault.delete(table, &key)?;
    }
    Ok(())
}
