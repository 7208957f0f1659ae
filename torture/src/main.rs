//! `torture kill` plays conversations under kill -9, and `torture hostile` conversations beside hostile input.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealpost_harness::cli::Programs;
use sealpost_torture::{hostile, kill};

/// Breaks Sealpost on purpose and checks its promises.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder with the programs `sealpost-server` and `sealpost`; by default that of this program
    #[arg(long, global = true)]
    programs: Option<PathBuf>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Two people write to each other while clients and server are killed; every message must arrive once, in order.
    Kill {
        /// The fewest messages that the command line must accept, in both directions together
        #[arg(long, default_value_t = 1000)]
        messages: u32,
        /// The fewest kills in the middle of a command
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// The fewest kills of a sender after the server accepted and before the command ended
        #[arg(long, default_value_t = 10)]
        accepted_kills: u32,
        /// The seed of every choice; timing is not seeded
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Hostile requests and frames against the server while two people write to each other: no panic, no unexplained 5xx, and
    /// every message arrives once.
    Hostile {
        /// The number of requests and frames together
        #[arg(long, default_value_t = 20_000)]
        requests: u64,
        /// The fewest messages that the two people write
        #[arg(long, default_value_t = 20)]
        messages: u32,
        /// The seed of every choice; timing is not seeded
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print the figures as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let programs = Programs::find(arguments.programs);
    let outcome = programs.and_then(|programs| match arguments.scenario {
        Scenario::Kill { messages, kills, accepted_kills, seed } => {
            let report = kill::run(&programs, &kill::Plan { messages, kills, accepted_kills, seed })?;
            Ok((report.to_string(), report.is_clean()))
        }
        Scenario::Hostile { requests, messages, seed, json } => {
            let report = hostile::run(&programs, &hostile::Plan { requests, messages, seed })?;
            let text = if json { report.json().to_string() } else { report.to_string() };
            Ok((text, report.is_clean()))
        }
    });
    match outcome {
        Ok((report, clean)) => {
            println!("{report}");
            if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
