//! Runs a command to its end.

use crate::args::Global;
use crate::errors;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::logging;
use crate::profile::Profile;
use crate::run::Typed;
use crate::task::Entry;
use crate::trust;

/// Runs a command with these flags. While it owns the profile, it carries out these tasks for other processes.
pub(crate) fn run(global: Global, command: Box<dyn Typed>, tasks: &'static [Entry]) -> Result<(), Failure> {
    logging::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start", &error))?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, run_inside(global, command, tasks));
    // A thread that waits for a terminal's next line must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn run_inside(global: Global, command: Box<dyn Typed>, tasks: &'static [Entry]) -> Result<(), Failure> {
    // Standard input can be read once.
    if global.read_from_standard_input() + usize::from(command.reads_standard_input()) > 1 {
        return Err(Failure::new(Exit::Usage, "standard_input", "only one thing can be read from standard input"));
    }
    let profile = Profile::new(global.data.as_deref(), &global.profile)?;
    if !profile.exists() && !command.begins() {
        return Err(errors::no_account());
    }
    profile.prepare()?;
    if !profile.exists() {
        // Before anybody types two secrets twice.
        trust::begins_with(global.server.as_deref())?;
    }
    let front = Front::new(global, profile, tasks)?;
    command.run(&front).await
}
