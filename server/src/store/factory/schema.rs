//! Looking at a store, and bringing its schema up to date, without serving from it.

use sealpost_crypto::UnixMillis;

use super::location::Location;
use crate::domain::clock::Random;
use crate::store::back_end::Store as _;
use crate::store::embedded::{self, EmbeddedOptions, EmbeddedStore};
use crate::store::findings::Finding;
use crate::store::mongodb::{self, MongoStore};
use crate::store::schema::SchemaStatus;

/// Why a store could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] embedded::OpenError),
    /// The database server cannot be used.
    #[error(transparent)]
    Server(#[from] mongodb::OpenError),
}

/// What was found of a store.
pub struct Examined {
    /// What the program thinks of the database server; empty for a folder.
    pub findings: Vec<Finding>,
    /// The schema's version.
    pub schema: SchemaStatus,
}

/// Examines a store without changing it.
///
/// # Errors
/// [`SchemaError`]
pub async fn examine(location: &Location, now: UnixMillis) -> Result<Examined, SchemaError> {
    Ok(match location {
        Location::Folder(folder) => Examined { findings: Vec::new(), schema: EmbeddedStore::schema_status(folder)? },
        Location::Server(address) => Examined {
            findings: MongoStore::examine(address, now).await?,
            schema: MongoStore::schema_status(address).await?,
        },
    })
}

/// Brings the schema up to date if `apply`. Returns the schema's version then.
///
/// # Errors
/// [`SchemaError`]
pub async fn migrate(
    location: &Location,
    apply: bool,
    random: &dyn Random,
    now: UnixMillis,
) -> Result<SchemaStatus, SchemaError> {
    match location {
        Location::Folder(folder) => {
            if apply {
                let mut seed = [0; 32];
                random.fill(&mut seed);
                // Opening applies what is missing; dropping closes.
                let options = EmbeddedOptions { allow_unsafe_filesystem: true, ..EmbeddedOptions::default() };
                drop(EmbeddedStore::open(folder, &options, &seed)?);
            }
            Ok(EmbeddedStore::schema_status(folder)?)
        }
        Location::Server(address) => {
            if apply {
                let mut seed = [0; 48];
                random.fill(&mut seed);
                MongoStore::open(address, &seed, now).await?.close().await;
            }
            Ok(MongoStore::schema_status(address).await?)
        }
    }
}
