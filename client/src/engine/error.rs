//! Why the engine has to stop.

use crate::vault::VaultError;

/// The engine can't go on with this vault: drop it, and the transaction with it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The vault failed.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A record in the vault is not what this version wrote.
    #[error("the vault's record of {what} could not be read")]
    Record {
        /// What it is about.
        what: &'static str,
    },
    /// A bug of ours.
    #[error("something went wrong inside the client")]
    Internal,
}
