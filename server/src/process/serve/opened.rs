//! The store that the process works with, whichever it is.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::ready;
use crate::base::config::{Config, StoreAddress};
use crate::domain::clock::{Clock, Random};
use crate::operate::secrets::Places;
use crate::process::metrics::Metrics;
use crate::store::Store;
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore, FileSizes, OpenError, StoreObserver, hold_folder};
use crate::store::mongodb::MongoStore;

/// An open store.
#[derive(Clone)]
pub(super) enum Opened {
    /// In the data folder.
    Embedded(Arc<EmbeddedStore>),
    /// On MongoDB.
    Mongo {
        /// The store.
        store: Arc<MongoStore>,
        /// The data folder holds keys and certificates then, and is held all the same.
        _held: Arc<std::fs::File>,
    },
}

impl Opened {
    /// Opens the store that the configuration names. A ready file of an earlier run goes, unless another process serves
    /// this folder: then it is that one's.
    pub(super) async fn open(
        config: &Config,
        clock: &dyn Clock,
        random: &dyn Random,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        match config.store.address()? {
            StoreAddress::Embedded => {
                let mut seed = [0; 32];
                random.fill(&mut seed);
                let options = EmbeddedOptions {
                    reserve_bytes: config.store.reserve_bytes,
                    allow_unsafe_filesystem: config.store.allow_unsafe_filesystem,
                    never_sync: config.store.never_sync,
                    observer: Arc::clone(metrics) as Arc<dyn StoreObserver>,
                    ..EmbeddedOptions::default()
                };
                let opened = EmbeddedStore::open(&config.data, &options, &seed);
                not_ready(config, &opened)?;
                Ok(Self::Embedded(Arc::new(opened?)))
            }
            StoreAddress::Mongo(address) => {
                let held = hold_folder(&config.data);
                not_ready(config, &held)?;
                let held = Arc::new(held?);
                let mut seed = [0; 48];
                random.fill(&mut seed);
                let store =
                    MongoStore::open(&address, &seed, clock.now()).await.context("the store cannot be opened")?;
                Ok(Self::Mongo { store: Arc::new(store), _held: held })
            }
        }
    }

    /// The store as the services know it.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Mongo { store, .. } => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Whether other nodes may work on it at the same time.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Mongo { .. })
    }

    /// Where this node's secrets are. With the embedded store that is the data folder, which a backup takes whole.
    pub(super) fn secrets(&self, config: &Config) -> Result<Places> {
        if config.secrets.folder.is_some() && !self.is_shared() {
            bail!(
                "a secrets folder is for nodes that share a MongoDB; with the embedded store the secrets are in the data \
                 folder: leave --secrets out, or name the MongoDB with --store"
            );
        }
        Ok(Places {
            folder: config.secrets.folder.clone().unwrap_or_else(|| config.data.clone()),
            data: config.data.clone(),
            pepper: config.pepper_file.clone(),
        })
    }

    /// Waits until the store has stopped for good, and says why. A MongoDB may always come back.
    pub(super) async fn stopped(&self) -> Arc<str> {
        match self {
            Self::Embedded(store) => store.stopped().await,
            Self::Mongo { .. } => std::future::pending().await,
        }
    }

    /// What it takes on this machine's disk.
    pub(super) fn file_sizes(&self) -> FileSizes {
        match self {
            Self::Embedded(store) => store.file_sizes(),
            Self::Mongo { .. } => FileSizes::default(),
        }
    }
}

fn not_ready<T>(config: &Config, opened: &Result<T, OpenError>) -> Result<()> {
    match &config.ready_file {
        Some(path) if !matches!(opened, Err(OpenError::Locked { .. })) => Ok(ready::remove(path)?),
        _ => Ok(()),
    }
}
