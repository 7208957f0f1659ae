//! `sealpost`: end-to-end encrypted messages from a terminal or a script.
//!
//! ```text
//! command_line ─▶ commands/NAME: Run ─▶ front (finds the profile's owner, or becomes it) ─▶ commands/NAME: Task ─▶ sink
//!                                         └── over the profile's socket ──▶ another process's owner ─┘
//! ```
//!
//! To add a command, write `commands/NAME.rs` with its arguments, its [`run::Run`], and a [`task::Task`] if it needs the
//! profile; then name it in `commands.rs`.

mod args;
mod command_line;
mod commands;
mod errors;
mod failure;
mod files;
mod front;
mod hardening;
mod job;
mod limit;
mod line;
mod lines;
mod logging;
mod names;
mod opening;
mod owner;
mod profile;
mod progress;
mod run;
mod sanitise;
mod secrets;
mod sink;
mod socket;
mod start;
mod stop;
mod task;
mod time;
mod trust;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::command_line::CommandLine;
use crate::commands::Kind;
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    hardening::begin();
    let CommandLine { global, command } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return wrong_usage(&error),
    };
    let json = global.json;
    let outcome = match command.kind() {
        Kind::Profile(command) => start::run(global, command, commands::TASKS),
        Kind::Completions(completions) => {
            completions.print(CommandLine::command());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit.number())
        }
    }
}

/// Reports what clap says. Help and version are results; everything else is an error, told as JSON where that was asked
/// for.
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
    // Nothing can be done if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(Exit::Usage.number()) } else { ExitCode::SUCCESS }
}
