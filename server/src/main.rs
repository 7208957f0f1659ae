//! Reads settings, builds, runs.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use sealpost_server::config::{Cli, Command, Config, load};
use sealpost_server::{logging, migrate, serve};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain on one line: what failed, and why.
            eprintln!("sealpost-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(args) => {
            let print = args.print_config;
            let config = load(*args)?;
            if print { print_config(&config) } else { start(config) }
        }
        Command::Migrate(args) => migrate::run(&args),
    }
}

fn print_config(config: &Config) -> Result<()> {
    print!("{}", toml::to_string(config).context("the configuration cannot be printed")?);
    Ok(())
}

fn start(config: Config) -> Result<()> {
    logging::begin(&config.log)?;
    serve::run(config)
}
