//! The project's own tasks. `cargo xtask demo` runs the main job, `cargo xtask ci` passes every check.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod checks;
mod command;
mod demo;
mod fuzz;
mod sabotage;
mod supply;
mod threats;
mod tools;
mod wasm;

use tools::Need;

/// Sealpost's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build server and client, start the server and play a conversation between two people, one offline at first.
    Demo {
        /// Stop the server at the end instead of leaving it running.
        #[arg(long)]
        once: bool,
    },
    /// Run every test: doctests, then all others.
    Test,
    /// Run every check, one stage after the other, the tests last. This is what CI runs.
    Ci {
        /// Run this stage alone.
        stage: Option<checks::Stage>,
        /// Fail when something is missing that a check needs, instead of saying what is left out.
        #[arg(long)]
        require: bool,
    },
    /// Write the table of attacks, code and tests into docs/security.md.
    Threats,
    /// Leave out one countermeasure after the other, and check that the tests of its attack fail.
    Sabotage {
        /// Rows of the table [default: all].
        rows: Vec<u8>,
    },
    /// Run the fuzz targets for a while each, and say how many executions there were.
    Fuzz {
        /// Targets [default: all].
        targets: Vec<String>,
        /// Seconds for each.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// Look for what the checks need, and install what is missing.
    #[command(alias = "engines")]
    Tools,
}

fn main() -> ExitCode {
    if sabotage::stands_in() {
        return sabotage::compile();
    }
    let result = match Arguments::parse().task {
        Task::Demo { once } => demo::run(once),
        Task::Test => checks::test(),
        Task::Ci { stage, require } => checks::ci(stage, require),
        Task::Threats => threats::write(),
        Task::Sabotage { rows } => tools::require(&[Need::Nextest, Need::Tests]).and_then(|()| sabotage::run(&rows)),
        Task::Fuzz { targets, seconds } => tools::require(&[Need::Fuzz]).and_then(|()| fuzz::run(&targets, seconds)),
        Task::Tools => tools::require(&Need::ALL),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
