//! Why a front could not do what it was asked.

use super::limit::Reached;
use crate::driver::{DriverError, NetworkFailure};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It took longer than its limit allows, or was stopped.
    #[error(transparent)]
    Limit(#[from] Reached),
    /// The driver, the engine or the server says why.
    #[error("{error}")]
    Driver {
        /// What the driver says.
        error: DriverError,
        /// Why the network failed last, where the error is that the server could not be reached.
        network: Option<NetworkFailure>,
    },
}
