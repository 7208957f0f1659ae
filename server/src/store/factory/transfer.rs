//! The two ends of a move.

use sealpost_crypto::UnixMillis;

use super::location::Location;
use crate::store::embedded::{self, EmbeddedTransfer};
use crate::store::mongodb::{self, MongoTransfer};
use crate::store::transfer::{TransferSource, TransferTarget};

/// Why a store cannot be one end of a move.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] embedded::OpenError),
    /// The database server cannot be used.
    #[error(transparent)]
    Server(#[from] mongodb::OpenError),
}

/// Opens a store to read all of it.
///
/// # Errors
/// [`EndError`]
pub async fn transfer_source(location: &Location, now: UnixMillis) -> Result<Box<dyn TransferSource>, EndError> {
    Ok(match location {
        Location::Folder(folder) => Box::new(EmbeddedTransfer::source(folder)?),
        Location::Server(address) => Box::new(MongoTransfer::source(address, now).await?),
    })
}

/// Opens a store to fill it; `None` if it is a folder that has a database already.
///
/// # Errors
/// [`EndError`]
pub async fn transfer_target(
    location: &Location,
    now: UnixMillis,
) -> Result<Option<Box<dyn TransferTarget>>, EndError> {
    Ok(match location {
        Location::Folder(folder) => {
            EmbeddedTransfer::target(folder)?.map(|target| Box::new(target) as Box<dyn TransferTarget>)
        }
        Location::Server(address) => Some(Box::new(MongoTransfer::target(address, now).await?)),
    })
}
