//! The command line, from the top.

use clap::{Parser, Subcommand};

use super::settings::ServeArgs;
use crate::operate::admin::AdminArgs;
use crate::operate::doctor::DoctorArgs;
use crate::operate::maintenance::{BackupArgs, RestoreArgs, VerifyArgs};
use crate::operate::migrate::MigrateArgs;
use crate::operate::moving::MoveArgs;
use crate::operate::secrets::SecretsArgs;

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

/// The commands of `sealpost-server`.
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
