//! How asking the driver fails.

use crate::engine::CommandError;

/// Why the driver does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The engine did it, or tried to, and says how it failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The vault failed, or what the engine found in it. What was asked may be stored or not; the driver goes on from the
    /// vault, if that can still be read.
    #[error("the vault failed: {0}")]
    Engine(String),
    /// The driver has ended.
    #[error("the driver has ended")]
    Stopped,
}

/// Why the network failed last, more exactly than the engine needs to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFailure {
    /// The server's certificate is not one that is trusted.
    #[error("{0}")]
    Untrusted(String),
    /// The server could not be reached, or did not answer as a server does.
    #[error("{0}")]
    Unreachable(String),
}
