//! The values of the configuration: what the operator chose, checked.
//!
//! They know neither the command line nor the form of a file. They hold paths to secrets and no secret, except for the
//! addresses of the store and of the relay, which are never printed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealpost_api::server::RegistrationPolicy;
use serde::Serialize;

mod data;
mod limit;
mod log;
mod nats;
mod proxies;
mod queue;
mod relay;
mod secrets;
mod store;
mod stream;
mod tls;

pub use data::{NoDataFolder, data_folder};
pub use limit::Limit;
pub use log::{LogConfig, LogFormat};
pub(crate) use nats::Login;
pub use nats::{NatsAddress, NatsAddressError};
pub use proxies::{AddressRange, AddressRangeError, TrustedProxies};
pub use queue::QueueConfig;
pub use relay::RelayConfig;
pub use secrets::SecretsConfig;
pub use store::{RESERVE_BYTES, StoreAddress, StoreAddressError, StoreConfig, read_store_address};
pub use stream::StreamConfig;
pub use tls::TlsConfig;

/// A checked configuration. Printed as TOML, it is a file that gives the same configuration again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where the service listens, `HOST:PORT`.
    pub listen: String,
    /// Where metrics and health details are, `HOST:PORT`.
    pub private_listen: String,
    /// The file that is written once the server accepts connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_file: Option<PathBuf>,
    /// The node's name in `Welcome`.
    pub node: String,
    /// Who may register; absent: open on a loopback address with the built-in certificate, else by invite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationPolicy>,
    /// Pages that may open streams, exactly as browsers name them.
    pub allowed_origins: Vec<String>,
    /// Worker threads; by default one for each core.
    pub workers: usize,
    /// Connections on each worker.
    pub connections_max: usize,
    /// Connections of one address, IPv6 cut to its /64; behind a proxy, streams of one. Never more than half of all.
    pub connections_per_address: usize,
    /// The proxies that are believed about where a request comes from, by the address they connect from.
    pub trust_proxy: TrustedProxies,
    /// How the connection is protected.
    pub tls: TlsConfig,
    /// How log lines look.
    pub log: LogConfig,
    /// Times of the stream.
    pub stream: StreamConfig,
    /// Quotas.
    pub queue: QueueConfig,
    /// The database.
    pub store: StoreConfig,
    /// How the node hears of others.
    pub relay: RelayConfig,
    /// Where the secrets are that nodes share.
    pub secrets: SecretsConfig,
    /// Where a secret for password hashes is kept apart from the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pepper_file: Option<PathBuf>,
    /// Every rate limit, by name.
    pub limits: BTreeMap<String, Limit>,
}
