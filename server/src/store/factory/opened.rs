//! Opening a store to serve from.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::location::Location;
use crate::base::config::StoreConfig;
use crate::domain::clock::{Clock, Random};
use crate::store::back_end::Store;
use crate::store::embedded::{self, EmbeddedOptions, EmbeddedStore};
use crate::store::mongodb::{self, MongoStore};
use crate::store::watch::{FileSizes, StoreObserver};

/// How to open a store.
pub struct Settings<'a> {
    /// Where it is.
    pub location: Location,
    /// The data folder. Keys and certificates are there even if the store is not, so it is locked in any case.
    pub data: &'a Path,
    /// The settings of the configuration.
    pub config: &'a StoreConfig,
    /// Is told how long commits take, where the store can tell.
    pub observer: Arc<dyn StoreObserver>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] embedded::OpenError),
    /// The database server cannot be used.
    #[error("the store cannot be opened")]
    Server(#[source] mongodb::OpenError),
}

/// An open store, of any kind.
#[derive(Clone)]
pub struct OpenedStore(Kind);

#[derive(Clone)]
enum Kind {
    Folder(Arc<EmbeddedStore>),
    Server {
        store: Arc<MongoStore>,
        /// Keeps other processes from the data folder.
        _lock: Arc<File>,
    },
}

impl OpenedStore {
    /// Opens a store. Calls `ours` once it is certain that no other process uses the data folder, whatever comes of the
    /// rest.
    ///
    /// # Errors
    /// [`OpenError`], and those of `ours`.
    pub async fn open<E: From<OpenError>>(
        settings: Settings<'_>,
        clock: &dyn Clock,
        random: &dyn Random,
        ours: impl FnOnce() -> Result<(), E>,
    ) -> Result<Self, E> {
        match settings.location {
            Location::Folder(folder) => {
                let mut seed = [0; 32];
                random.fill(&mut seed);
                let options = EmbeddedOptions {
                    reserve_bytes: settings.config.reserve_bytes,
                    allow_unsafe_filesystem: settings.config.allow_unsafe_filesystem,
                    never_sync: settings.config.never_sync,
                    observer: settings.observer,
                    ..EmbeddedOptions::default()
                };
                let store = unless_locked(EmbeddedStore::open(&folder, &options, &seed), ours)?;
                Ok(Self(Kind::Folder(Arc::new(store))))
            }
            Location::Server(address) => {
                let lock = unless_locked(embedded::hold_folder(settings.data), ours)?;
                let mut seed = [0; 48];
                random.fill(&mut seed);
                let store = MongoStore::open(&address, &seed, clock.now()).await.map_err(OpenError::Server)?;
                Ok(Self(Kind::Server { store: Arc::new(store), _lock: Arc::new(lock) }))
            }
        }
    }

    /// Returns the store as the services know it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.0 {
            Kind::Folder(store) => Arc::clone(store) as Arc<dyn Store>,
            Kind::Server { store, .. } => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Returns whether other nodes may use the store at the same time.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Kind::Server { .. })
    }

    /// Waits until the store has stopped for good. Returns why. A database server may always come back.
    pub async fn stopped(&self) -> Arc<str> {
        match &self.0 {
            Kind::Folder(store) => store.stopped().await,
            Kind::Server { .. } => std::future::pending().await,
        }
    }

    /// Returns what the store takes on this machine's disk.
    #[must_use]
    pub fn file_sizes(&self) -> FileSizes {
        match &self.0 {
            Kind::Folder(store) => store.file_sizes(),
            Kind::Server { .. } => FileSizes::default(),
        }
    }
}

/// Calls `ours`, unless another process holds the folder. Returns what was opened.
fn unless_locked<T, E: From<OpenError>>(
    opened: Result<T, embedded::OpenError>,
    ours: impl FnOnce() -> Result<(), E>,
) -> Result<T, E> {
    if !matches!(opened, Err(embedded::OpenError::Locked { .. })) {
        ours()?;
    }
    Ok(opened.map_err(OpenError::Folder)?)
}
