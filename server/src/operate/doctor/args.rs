//! The arguments of `doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::operate::store_args::StoreArgs;

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
