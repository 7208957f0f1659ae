//! The arguments that name the store.

use std::path::PathBuf;

use clap::Args;

use crate::base::config::{StoreAddress, StoreConfig};

/// The store. `serve` can also read it from a settings file.
#[derive(Clone, Debug, Default, Args)]
pub struct StoreArgs {
    /// The database for accounts and messages: `embedded`, in the data folder, or
    /// mongodb://host:27017/sealpost?replicaSet=rs0 for many nodes [default: embedded]. Put an address with a password
    /// into --store-file, because others on this machine can see arguments
    #[arg(
        long,
        env = "SEALPOST_SERVER_STORE",
        value_name = "STORE",
        hide_env_values = true,
        conflicts_with = "store_file"
    )]
    pub store: Option<StoreAddress>,
    /// A file that contains the value of --store
    #[arg(long, env = "SEALPOST_SERVER_STORE_FILE", value_name = "FILE")]
    pub store_file: Option<PathBuf>,
}

impl StoreArgs {
    /// Returns the store for commands that read only arguments and the environment.
    #[must_use]
    pub fn config(&self) -> StoreConfig {
        StoreConfig { uri: self.store.clone(), uri_file: self.store_file.clone(), ..StoreConfig::default() }
    }
}
