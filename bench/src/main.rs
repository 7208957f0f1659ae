//! Benches that anyone can repeat: ratios to a peer, measured in the same run on the same core.

use std::process::ExitCode;

use clap::Parser;

mod client;
mod crypto;
mod docs;
mod load;
mod peers;
mod plot;
mod rig;
mod scale;

/// Benches of Sealpost.
#[derive(Parser)]
#[command(name = "bench", version)]
enum Command {
    /// The command-line client: processor time of a message, and time from its start to "sent".
    Client(client::Options),
    /// Sessions and messages, beside vodozemac in the same run.
    Crypto(crypto::Options),
    /// The server: messages into its store, out of it, and from hand to hand; each must arrive once and unaltered.
    Load(load::Options),
    /// What one operation costs as messages, accounts and streams become more.
    Scale(scale::Options),
    /// The same work for us and for ejabberd, prosody and mosquitto, on the same core in one run.
    Peers(peers::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Client(options) => client::run(&options),
        Command::Crypto(options) => crypto::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Scale(options) => scale::run(&options),
        Command::Peers(options) => peers::run(&options),
    }
}
