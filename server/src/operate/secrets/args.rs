//! The arguments of `secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `sealpost-server secrets`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
All nodes of a MongoDB need the same keys: those of access tokens, and the one that keeps the names of deleted accounts retired.
They are files of one folder, which nodes share or have a copy of, and are not in the database, where a thief of it would find them.

EXAMPLES
  For a new cluster, once, and then copied to every node:
      sealpost-server secrets init --secrets /etc/sealpost/secrets
  To change the keys of access tokens without logging anyone out; after each step the file goes to every node, and every node
  reloads (`sealpost-server admin reload`):
      sealpost-server secrets add-key --secrets /etc/sealpost/secrets
      sealpost-server secrets use-key --secrets /etc/sealpost/secrets
      sealpost-server secrets drop-keys --secrets /etc/sealpost/secrets    (10 minutes later)
  When a key may be known to others: at once, for every node, and then all nodes are started again:
      sealpost-server secrets replace-keys --secrets /etc/sealpost/secrets")]
pub struct SecretsArgs {
    /// The command to run
    #[command(subcommand)]
    pub command: SecretsCommand,
    /// The folder with the keys [default: the data folder]
    #[arg(long, env = "SEALPOST_SERVER_SECRETS", value_name = "DIR", global = true)]
    pub secrets: Option<PathBuf>,
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with the keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SecretsCommand {
    /// Create the folder with new keys; existing files stay
    Init,
    /// Show the keys by their fingerprints
    Show,
    /// Add a key that nodes accept and do not sign with yet
    AddKey,
    /// Sign with the key that was added last.
    UseKey,
    /// Accept only the key that signs, and a key that was just added
    DropKeys,
    /// Replace all keys by a new one. Earlier access tokens become invalid, and clients fetch new ones
    ReplaceKeys {
        /// The fingerprint of the key that the cluster signs with, if its file is lost; `serve` prints it when it
        /// refuses to start
        #[arg(long, value_name = "FINGERPRINT")]
        replaces: Option<String>,
    },
}
