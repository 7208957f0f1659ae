//! `torture kill`: conversations under kill -9.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealpost_torture::kill::{self, Plan};
use sealpost_torture::world::Programs;

/// Breaks Sealpost on purpose and checks its promises.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder of the programs `sealpost-server` and `sealpost`; by default that of this program.
    #[arg(long, global = true)]
    programs: Option<PathBuf>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Two people write to each other while clients and server are killed; every message must arrive once, in order.
    Kill {
        /// Messages that the command line must have taken, both ways together.
        #[arg(long, default_value_t = 1000)]
        messages: u32,
        /// Kills in the middle of a command, at least.
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// Kills of a sender after the server accepted and before the command ended, at least.
        #[arg(long, default_value_t = 10)]
        accepted_kills: u32,
        /// Seeds every choice; timing stays the machine's.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Scenario::Kill { messages, kills, accepted_kills, seed } = arguments.scenario;
    let plan = Plan { messages, kills, accepted_kills, seed };
    let report = Programs::find(arguments.programs).and_then(|programs| kill::run(&programs, &plan));
    match report {
        Ok(report) => {
            println!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
