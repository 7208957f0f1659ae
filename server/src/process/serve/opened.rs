//! The store that the process works with.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::ready;
use crate::base::config::Config;
use crate::domain::clock::{Clock, Random};
use crate::operate::secrets::Places;
use crate::process::metrics::Metrics;
use crate::store::StoreObserver;
use crate::store::factory::{Location, OpenedStore, Settings};

/// Opens the store that the configuration names. Removes the ready file of an earlier run, unless another process
/// serves this folder and the file is its.
pub(super) async fn open(
    config: &Config,
    clock: &dyn Clock,
    random: &dyn Random,
    metrics: &Arc<Metrics>,
) -> Result<OpenedStore> {
    let location = Location::of(config.store.address()?, || anyhow::Ok(config.data.clone()))?;
    let observer = Arc::clone(metrics) as Arc<dyn StoreObserver>;
    let settings = Settings { location, data: &config.data, config: &config.store, observer };
    OpenedStore::open(settings, clock, random, || not_ready(config)).await
}

/// Returns where this node's secrets are. If the store is in the data folder, they are there too, and a backup takes them.
pub(super) fn secrets(opened: &OpenedStore, config: &Config) -> Result<Places> {
    if config.secrets.folder.is_some() && !opened.is_shared() {
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

/// Removes the ready file.
fn not_ready(config: &Config) -> Result<()> {
    match &config.ready_file {
        Some(path) => Ok(ready::remove(path)?),
        None => Ok(()),
    }
}
