//! `sealpost`: end-to-end encrypted messages from a terminal or a script.
//!
//! ```text
//! args ─▶ front (asks for what must be typed, finds the profile's owner) ─▶ owner ─▶ commands ─▶ sink
//!                                   └── over the profile's socket ──▶ another process's owner ─┘
//! ```

mod args;
mod chat;
mod commands;
mod errors;
mod failure;
mod files;
mod front;
mod hardening;
mod limit;
mod lines;
mod owner;
mod profile;
mod progress;
mod sanitise;
mod secrets;
mod sink;
mod socket;
mod task;
mod time;
mod trust;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Command, CommandLine};
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    hardening::begin();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return wrong_usage(&error),
    };
    if let Command::Completions { shell } = line.command {
        clap_complete::generate(shell, &mut CommandLine::command(), "sealpost", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    let json = line.global.json;
    match front::run(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit.number())
        }
    }
}

/// Help and version are results; everything else is an error, told as JSON where that was asked for.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json")
        || std::env::var("SEALPOST_JSON")
            .is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off"));
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::new(Exit::Usage, "usage", message).hint("sealpost --help").report(true);
        return ExitCode::from(Exit::Usage.number());
    }
    // Nothing is to be done if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(Exit::Usage.number()) } else { ExitCode::SUCCESS }
}
