//! The command line.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::maintenance::{BackupArgs, RestoreArgs, VerifyArgs};
use super::moving::MoveArgs;
use super::secrets::SecretsArgs;
use super::{StoreAddress, StoreConfig};
use crate::domain::address::TrustedProxies;
use crate::operate::admin::AdminArgs;
use crate::relay::nats::NatsAddress;

/// `sealpost-server`.
#[derive(Debug, Parser)]
#[command(
    name = "sealpost-server",
    version,
    about = "The Sealpost server: end-to-end encrypted messaging on one machine, with nothing else to install.",
    after_help = "Start it with `sealpost-server serve`. It makes its database, keys and certificate at the first start."
)]
pub struct Cli {
    /// The command to run
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT
    Serve(Box<ServeArgs>),
    /// Query or control the running server: invites, users, logins, queues, keys, reload
    Admin(Box<AdminArgs>),
    /// Show the database's schema version, or update the schema. `serve` updates it by itself
    Migrate(MigrateArgs),
    /// Check that the store cannot lose accepted messages, and say what to change; or check that a running server
    /// carries messages (--e2e)
    Doctor(DoctorArgs),
    /// Copy everything from one kind of store to the other, while no server runs
    Move(MoveArgs),
    /// Copy everything that is needed to run again, while the server runs
    Backup(BackupArgs),
    /// Make a data folder from a backup; everybody has to log in again
    Restore(RestoreArgs),
    /// Check a data folder or a backup, and say which parts can be read
    Verify(VerifyArgs),
    /// Create and show the keys that nodes share, and change the keys of access tokens
    Secrets(SecretsArgs),
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Human,
}

/// Who can register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// Anyone.
    Open,
    /// Anyone with an invite.
    Invite,
    /// Nobody.
    Closed,
}

/// `sealpost-server serve`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_long_help = "\
EXAMPLES
  Try it on this machine:
      sealpost-server serve
  For a network, with the built-in certificate (give people the fingerprint it prints):
      sealpost-server serve --data /var/lib/sealpost --listen 0.0.0.0:8443
  With your own certificate:
      sealpost-server serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  Behind a proxy on this machine that ends TLS:
      sealpost-server serve --listen 127.0.0.1:8080 --plain-http --trust-proxy
  One of many nodes:
      sealpost-server serve --store-file /etc/sealpost/store --relay-file /etc/sealpost/relay \\
          --secrets /etc/sealpost/secrets --node node-1

A flag wins over its environment variable, that over the TOML file of --config, that over the default.
A switch may be turned off again where it is stronger: `--trust-proxy=false`, `SEALPOST_SERVER_PLAIN_HTTP=false`.
`--print-config` prints the outcome as such a file, with every rate limit.")]
pub struct ServeArgs {
    /// A TOML file; --print-config prints everything that it can contain
    #[arg(long, env = "SEALPOST_SERVER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder, created with mode 0700 if it is missing [default: the user's data folder + sealpost-server]
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address for clients; port 0 uses any free one [default: 127.0.0.1:8443]
    #[arg(long, env = "SEALPOST_SERVER_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// The address for metrics and health details; keep it private [default: 127.0.0.1:0]
    #[arg(long, env = "SEALPOST_SERVER_PRIVATE_LISTEN", value_name = "HOST:PORT")]
    pub private_listen: Option<String>,
    /// A file to write once the server serves: {"url","ca","fingerprint","private","pid"}
    #[arg(long, env = "SEALPOST_SERVER_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// The certificate chain, PEM, leaf first; it is read again every hour
    #[arg(long, env = "SEALPOST_SERVER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "SEALPOST_SERVER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve without TLS, because a proxy ends it. Only on a loopback address
    #[arg(long, env = "SEALPOST_SERVER_PLAIN_HTTP", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub plain_http: Option<bool>,
    /// Allow any address with plain HTTP. Everyone between this server and the proxy can see every token
    #[arg(long, env = "SEALPOST_SERVER_PLAIN_HTTP_ANYWHERE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub plain_http_anywhere: Option<bool>,
    /// Believe the client address that a proxy reports: a proxy on this machine, or proxies at these addresses
    /// (--trust-proxy=10.0.0.5,10.1.0.0/16)
    #[arg(long, env = "SEALPOST_SERVER_TRUST_PROXY", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "ADDRESSES")]
    pub trust_proxy: Option<TrustedProxies>,
    /// Who can register [default: open on a loopback address with the built-in certificate, else invite]
    #[arg(long, env = "SEALPOST_SERVER_REGISTRATION", value_name = "POLICY")]
    pub registration: Option<Registration>,
    /// A page that can open streams, exactly as browsers name it (https://host or https://host:port); repeat it for
    /// several
    #[arg(
        long = "allowed-origin",
        env = "SEALPOST_SERVER_ALLOWED_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<String>,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// NATS, over which nodes that share a MongoDB send each other hints: nats://HOST:4222 or tls://HOST:4222; separate
    /// several by commas. Put an address with a password into --relay-file
    #[arg(
        long,
        env = "SEALPOST_SERVER_RELAY",
        value_name = "URL",
        hide_env_values = true,
        conflicts_with = "relay_file"
    )]
    pub relay: Option<NatsAddress>,
    /// A file that contains the value of --relay
    #[arg(long, env = "SEALPOST_SERVER_RELAY_FILE", value_name = "FILE")]
    pub relay_file: Option<PathBuf>,
    /// The authorities that can issue the relay's certificate, PEM [default: the system's]
    #[arg(long, env = "SEALPOST_SERVER_RELAY_CA", value_name = "FILE")]
    pub relay_ca: Option<PathBuf>,
    /// This node's certificate for the relay, PEM, if NATS asks for one
    #[arg(long, env = "SEALPOST_SERVER_RELAY_CERT", value_name = "FILE")]
    pub relay_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "SEALPOST_SERVER_RELAY_KEY", value_name = "FILE")]
    pub relay_key: Option<PathBuf>,
    /// The folder with the keys that all nodes of a MongoDB must share; `sealpost-server secrets` creates it [default:
    /// the data folder]
    #[arg(long, env = "SEALPOST_SERVER_SECRETS", value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// A file with a secret that is mixed into password hashes; keep it apart from the database, and never change it.
    #[arg(long, env = "SEALPOST_SERVER_PEPPER_FILE", value_name = "FILE")]
    pub pepper_file: Option<PathBuf>,
    /// The name of this node for clients [default: sealpost]
    #[arg(long, env = "SEALPOST_SERVER_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// Worker threads [default: one for each core].
    #[arg(long, env = "SEALPOST_SERVER_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// The format of log lines [default: human at a terminal, else json]
    #[arg(long, env = "SEALPOST_SERVER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// The log lines to write: error, warn, info, debug, or a filter [default: warn,sealpost_server=info]
    #[arg(long, env = "SEALPOST_SERVER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Print the configuration as TOML and exit
    #[arg(long)]
    pub print_config: bool,
}

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

/// `sealpost-server doctor`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  sealpost-server doctor --store-file /etc/sealpost/store
  sealpost-server doctor --data /var/lib/sealpost --json
  Two accounts that are made for it go the whole way on the running server, and are deleted:
  sealpost-server doctor --e2e --data /var/lib/sealpost
  From another machine, through the proxy, on a server that takes nobody without an invite:
  sealpost-server doctor --e2e --url https://sealpost.example --invite CODE --invite CODE
  For a container's health check:
  sealpost-server doctor --ready --data /data

Without --e2e nothing is changed; `serve` looks at the same before it starts. The exit code is 0 when all is well, else 1. With --e2e
random bytes go from one account to the other: register, look up, take a bundle, connect, send, deliver, acknowledge, delete, each with the
time that it took. The accounts are deleted also when a step fails; their names, drawn at random, are never given again.")]
pub struct DoctorArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Let two accounts exchange a message over the running server, instead of checking the store
    #[arg(long)]
    pub e2e: bool,
    /// Only ask the running server whether it is ready
    #[arg(long, conflicts_with = "e2e")]
    pub ready: bool,
    /// The URL of the running server, for --e2e and --ready
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:8443")]
    pub url: String,
    /// The authorities to trust, PEM [default: the system's, and the built-in one in the data folder]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// An invite for --e2e if registration needs one; give two [default: made on the server that runs on the data
    /// folder]
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    pub invite: Vec<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `sealpost-server migrate`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Prints one JSON object: the version that the database has, the newest one that this program knows, and what is between them.
`serve` applies what is missing by itself. The embedded store must not be in use; with MongoDB one node at a time does it.")]
pub struct MigrateArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only print the versions
    #[arg(long, conflicts_with = "dry_run")]
    pub status: bool,
    /// Only print the migrations that would be applied
    #[arg(long)]
    pub dry_run: bool,
}
