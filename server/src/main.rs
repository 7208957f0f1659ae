//! Reads settings, builds, runs.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use sealpost_server::base::config::Config;
use sealpost_server::base::hardening;
use sealpost_server::operate::{admin, doctor, maintenance, migrate, moving, secrets};
use sealpost_server::process::cli::{Cli, Command};
use sealpost_server::process::settings::{ServeArgs, load};
use sealpost_server::process::{logging, serve};

/// The allocator. A message costs some dozens of small allocations, and the system's allocator took a tenth of the time
/// of each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hardening::begin();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // The whole chain on one line: what failed, and why.
            eprintln!("sealpost-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Admin(args) => return Ok(admin::run(&args)),
        Command::Serve(args) => {
            let print = args.print_config;
            let config = load((*args).clone())?;
            if print { print_config(&config) } else { start(config, *args) }
        }
        Command::Doctor(args) => return doctor::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Move(args) => moving::run(&args),
        Command::Backup(args) => maintenance::backup(&args),
        Command::Restore(args) => maintenance::restore(&args),
        Command::Verify(args) => maintenance::verify(&args),
        Command::Secrets(args) => secrets::run(&args),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn print_config(config: &Config) -> Result<()> {
    print!("{}", toml::to_string(config).context("the configuration cannot be printed")?);
    Ok(())
}

fn start(config: Config, args: ServeArgs) -> Result<()> {
    let log = logging::begin(&config.log)?;
    serve::run(config, args, log)
}
