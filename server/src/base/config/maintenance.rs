//! Arguments of `backup`, `restore` and `verify`.

use std::path::PathBuf;

use clap::Args;

/// `sealpost-server backup`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  sealpost-server backup --data /var/lib/sealpost --to /backup/monday
  Into a new folder inside of one that is there, for a timer:
  sealpost-server backup --data /var/lib/sealpost --to /backup --json

The server may run. The backup is a folder: the database at one moment, checked; the key of retired names; the built-in
certificate authority; and manifest.json with their SHA-256. One-time prekeys, the keys of access tokens, the pepper and your own
certificate are not in it.")]
pub struct BackupArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The backup: a folder to be made. When it is there already, a new one is made inside of it.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `sealpost-server restore`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
EXAMPLES
  sealpost-server restore --from /backup/monday --data /var/lib/sealpost
  In place of what is there, which moves into /var/lib/sealpost/replaced-…:
  sealpost-server restore --from /backup/monday --data /var/lib/sealpost --replace

The server must not run. Every session ends and invites are dropped, because they may have been used or revoked since; everybody
logs in again. One-time prekeys are never given twice: clients upload new ones, and send again what the backup lacks.")]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The data folder, empty or not there yet [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Replace what is in the data folder, and keep it beside.
    #[arg(long)]
    pub replace: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `sealpost-server verify`.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
The exit code is 0 when all is whole. Otherwise every finding is printed, with how much of each table can still be read;
nothing is changed or repaired. The server may run.")]
pub struct VerifyArgs {
    /// The data folder [default: the user's data folder + sealpost-server].
    #[arg(long, env = "SEALPOST_SERVER_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A backup instead of a data folder.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
