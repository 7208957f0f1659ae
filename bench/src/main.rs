//! Benches that anyone can rerun: ratios beside a peer, taken in the same run on the same core.

use std::process::ExitCode;

use clap::Parser;

mod crypto;

/// Benches of Sealpost.
#[derive(Parser)]
#[command(name = "bench", version)]
enum Command {
    /// Sessions and messages, beside vodozemac in the same run.
    Crypto(crypto::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Crypto(options) => crypto::run(&options),
    }
}
