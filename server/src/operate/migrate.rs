//! `sealpost-server migrate`: shows the schema's version, and updates the schema without serving.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::base::config::data_folder;
use crate::domain::clock::{Clock as _, SystemClock, SystemRandom};
use crate::operate::store_args::StoreArgs;
use crate::store::SchemaStatus;
use crate::store::factory::{self, Location};

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

#[derive(Serialize)]
struct Printed {
    current: i64,
    newest: i64,
    /// The versions between the two.
    missing: Vec<&'static str>,
}

/// Applies missing migrations unless it is asked not to, and prints the version.
///
/// # Errors
/// An error for the operator if the store cannot be used.
pub fn run(args: &MigrateArgs) -> Result<()> {
    let config = args.store.config();
    let apply = !args.status && !args.dry_run;
    let location = Location::of(config.address()?, || data_folder(args.data.as_deref()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let migrated = factory::migrate(&location, apply, &SystemRandom, SystemClock.now());
    let status = runtime.context("no runtime could be made")?.block_on(migrated)?;
    let SchemaStatus { current, newest, missing } = status;
    println!("{}", serde_json::to_string(&Printed { current, newest, missing })?);
    Ok(())
}
