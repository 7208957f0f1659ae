//! The arguments of `serve`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use sealpost_api::server::RegistrationPolicy;

use crate::base::config::{LogFormat, NatsAddress, TrustedProxies};
use crate::operate::store_args::StoreArgs;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Human,
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Json => Self::Json,
            LogFormatArg::Human => Self::Human,
        }
    }
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

impl From<Registration> for RegistrationPolicy {
    fn from(policy: Registration) -> Self {
        match policy {
            Registration::Open => Self::Open,
            Registration::Invite => Self::Invite,
            Registration::Closed => Self::Closed,
        }
    }
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
    pub log_format: Option<LogFormatArg>,
    /// The log lines to write: error, warn, info, debug, or a filter [default: warn,sealpost_server=info]
    #[arg(long, env = "SEALPOST_SERVER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Print the configuration as TOML and exit
    #[arg(long)]
    pub print_config: bool,
}
