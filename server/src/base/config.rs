//! The operator's choices: flags, then `SEALPOST_SERVER_*` variables, then a TOML file, then defaults.
//!
//! [`Config`] is what came out, checked; `--print-config` prints it as the TOML that would give the same. It holds paths to
//! secrets and no secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealpost_api::limits::{QUEUE_MAX_BYTES, QUEUE_MAX_MESSAGES};
use sealpost_api::server::RegistrationPolicy;
use serde::{Deserialize, Serialize};

use crate::domain::address::TrustedProxies;
use crate::service::limiter::{Limit, LimitError, LimitTable};
use crate::store::embedded::EmbeddedOptions;

mod args;
mod load;
mod maintenance;
mod moving;
mod relay;
mod secrets;
mod store;

pub use args::{Cli, Command, DoctorArgs, LogFormat, MigrateArgs, Registration, ServeArgs, StoreArgs};
pub(crate) use load::default_data;
pub use load::{LoadError, load};
pub use maintenance::{BackupArgs, RestoreArgs, VerifyArgs};
pub use moving::{MoveAddress, MoveArgs};
pub use relay::{RelayConfig, RelayConfigError, SecretsConfig};
pub use secrets::{SecretsArgs, SecretsCommand};
pub use store::{StoreAddress, StoreAddressError};

/// What one sender account may take of one device's queue: a tenth, so that ten strangers are needed to fill it.
const SENDER_SHARE_MESSAGES: u64 = QUEUE_MAX_MESSAGES / 10;
/// Sockets on one worker. Each costs up to 27 KiB idle with TLS; the descriptor limit is checked against it at start.
const CONNECTIONS_MAX: usize = 25_000;
/// Connections of one network: an office behind one address has room, and one machine cannot take them all.
const CONNECTIONS_PER_ADDRESS: usize = 1_000;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where the service listens, `HOST:PORT`.
    pub listen: String,
    /// Where metrics and health details are, `HOST:PORT`.
    pub private_listen: String,
    /// Written once the server serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_file: Option<PathBuf>,
    /// The node's name in `Welcome`.
    pub node: String,
    /// Who may register; absent: open on a loopback address with the built-in certificate, else by invite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationPolicy>,
    /// Pages that may open streams, exactly as browsers name them.
    pub allowed_origins: Vec<String>,
    /// Worker threads; each core has one by default.
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

/// How the connection is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode", deny_unknown_fields)]
pub enum TlsConfig {
    /// By a certificate of the server's own authority, both in the data folder.
    BuiltIn,
    /// By the operator's certificate.
    Files {
        /// PEM, leaf first.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
    },
    /// Not here: a proxy in front of it does it.
    Plain {
        /// Whether an address that others can reach is allowed.
        anywhere: bool,
    },
}

/// How log lines look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogConfig {
    /// JSON or for people.
    pub format: LogFormat,
    /// A filter as of tracing's `EnvFilter`, for example `info` or `sealpost_server=debug`.
    pub filter: String,
}

/// Times of the stream, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Between two pings.
    pub ping_millis: u64,
    /// How long a peer may take nothing.
    pub write_timeout_millis: u64,
    /// How long a browser may take for its first frame.
    pub auth_timeout_millis: u64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { ping_millis: 25_000, write_timeout_millis: 5_000, auth_timeout_millis: 5_000 }
    }
}

/// Quotas of one device's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Messages.
    pub messages_max: u64,
    /// Bytes.
    pub bytes_max: u64,
    /// Messages of one sender account.
    pub sender_messages_max: u64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            messages_max: QUEUE_MAX_MESSAGES,
            bytes_max: QUEUE_MAX_BYTES,
            sender_messages_max: SENDER_SHARE_MESSAGES,
        }
    }
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where it is. Never printed, because it may hold a password.
    #[serde(skip_serializing)]
    pub uri: Option<StoreAddress>,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_file: Option<PathBuf>,
    /// Free bytes below which nothing is accepted. It should hold twice the largest log (128 MiB), so that acks and deletions
    /// go on while the disk is full; less is for small disks.
    pub reserve_bytes: u64,
    /// Whether the data folder may be on a network file system or FUSE, which may lose what was accepted.
    pub allow_unsafe_filesystem: bool,
    /// As [`EmbeddedOptions::never_sync`]: for tests of tests, and in no file or flag.
    #[serde(skip)]
    pub never_sync: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            uri: None,
            uri_file: None,
            reserve_bytes: EmbeddedOptions::default().reserve_bytes,
            allow_unsafe_filesystem: false,
            never_sync: false,
        }
    }
}

impl Config {
    /// The limits in force.
    ///
    /// # Errors
    /// [`LimitError`] for an unknown name or a zero.
    pub fn limit_table(&self) -> Result<LimitTable, LimitError> {
        let mut table = LimitTable::default();
        for (name, limit) in &self.limits {
            table.set(name, *limit)?;
        }
        Ok(table)
    }
}
