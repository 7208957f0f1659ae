//! Small records of the program that runs the driver, kept in the vault beside the engine's own.

use crate::vault::{Table, Value, VaultError, VaultTransaction};

/// Reads a record, such as the server's address.
///
/// # Errors
/// [`VaultError`]
pub fn note(vault: &mut dyn VaultTransaction, name: &str) -> Result<Option<Value>, VaultError> {
    vault.get(Table::Meta, format!("driver/{name}").as_bytes())
}

/// Writes a record; see [`note`].
///
/// # Errors
/// [`VaultError`]
pub fn set_note(vault: &mut dyn VaultTransaction, name: &str, value: &[u8]) -> Result<(), VaultError> {
    vault.put(Table::Meta, format!("driver/{name}").as_bytes(), value)
}
