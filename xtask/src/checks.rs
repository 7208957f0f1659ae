//! What `cargo xtask ci` runs: four stages, each a list of checks. A stage ends at its first failure.
//!
//! The stages run in the order of [`Stage::ALL`], and the tests come last of all: their summary is the last line printed.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::command::{built, minutes, run, run_cargo, step};
use crate::tools::{self, Missing, Need};
use crate::{fuzz, supply, wasm};

/// A part of the checks that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Licences, sources and known flaws of the dependencies.
    Ship,
    /// The client as WebAssembly, for a browser.
    Web,
    /// Conversations while clients and server are killed.
    Torture,
    /// Format, lints, docs, features, fuzz corpora, and every test.
    Base,
}

impl Stage {
    /// Every stage, cheapest first; the tests are in the last.
    const ALL: [Self; 4] = [Self::Ship, Self::Web, Self::Torture, Self::Base];

    const fn name(self) -> &'static str {
        match self {
            Self::Ship => "ship",
            Self::Web => "web",
            Self::Torture => "torture",
            Self::Base => "base",
        }
    }

    /// Returns what the stage needs besides Rust. Nothing else is looked for.
    const fn needs(self) -> &'static [Need] {
        match self {
            Self::Ship => &[Need::Supply],
            Self::Web => &[Need::Web],
            Self::Torture => &[Need::Nextest],
            Self::Base => &[Need::Nextest, Need::Fuzz, Need::Tests],
        }
    }
}

/// Each set of features that someone builds the client with: an engine alone, a browser, and parts of the native one.
const CLIENT_FEATURES: [&str; 4] = ["", "vault", "files", "keyring"];

/// The run of `torture kill` that the checks do: less than half of the full one (1,000 messages, 50 kills, 10 of them after
/// the server accepted), because every check pays for it. It has five minutes.
const SHORT_TORTURE: [&str; 6] = ["--messages", "400", "--kills", "25", "--accepted-kills", "5"];

/// Runs one stage, or all of them.
///
/// # Errors
/// When a check fails, or, if everything is required, when something is missing that a check needs.
pub(crate) fn ci(chosen: Option<Stage>, require: bool) -> Result<()> {
    let stages = chosen.map_or(Stage::ALL.to_vec(), |stage| vec![stage]);
    let needs: Vec<Need> = stages.iter().flat_map(|stage| stage.needs()).copied().collect();
    let missing = tools::ensure(&needs)?;
    missing.report();
    if require {
        missing.refuse()?;
    }
    let mut times = Vec::new();
    for stage in stages {
        eprintln!("\n==> stage {}", stage.name());
        let started = Instant::now();
        match stage {
            Stage::Ship => ship(&missing)?,
            Stage::Web => web(&missing, require)?,
            Stage::Torture => torture()?,
            // Prints the times itself, because nothing follows the tests' summary.
            Stage::Base => base(&missing, &times)?,
        }
        times.push((stage, started.elapsed()));
        eprintln!("==> stage {}: {}", stage.name(), minutes(started.elapsed()));
    }
    Ok(())
}

fn ship(missing: &Missing) -> Result<()> {
    if missing.lacks(Need::Supply) {
        return Ok(());
    }
    step(&["deny", "--all-features", "check", "bans", "licenses", "sources"], &[])?;
    supply::advisories()
}

fn web(missing: &Missing, require: bool) -> Result<()> {
    if missing.lacks(Need::Web) {
        return Ok(());
    }
    wasm::build(require)
}

/// Kills programs of the test build, which the tests use too: building them is nothing that they would not do later.
fn torture() -> Result<()> {
    step(&["nextest", "run", "--locked", "--workspace", "--no-run"], &[])?;
    let mut torture = std::process::Command::new(built("debug")?.join("torture"));
    run(torture.arg("kill").args(SHORT_TORTURE))
}

fn base(missing: &Missing, times: &[(Stage, Duration)]) -> Result<()> {
    let started = Instant::now();
    step(&["fmt", "--all", "--check"], &[])?;
    step(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    // The server takes the keys without sessions.
    step(&["check", "--locked", "--package", "sealpost-crypto", "--no-default-features"], &[])?;
    for features in CLIENT_FEATURES {
        let client = ["clippy", "--locked", "--package", "sealpost-client", "--no-default-features", "--features"];
        step(&[&client[..], &[features, "--", "--deny", "warnings"]].concat(), &[])?;
    }
    let documented = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    step(&documented, &[("RUSTDOCFLAGS", "--deny warnings")])?;
    if !missing.lacks(Need::Fuzz) {
        fuzz::replay()?;
    }
    doctests()?;
    for (stage, time) in times {
        eprintln!("==> stage {}: {}", stage.name(), minutes(*time));
    }
    eprintln!("==> stage {} without its tests: {}", Stage::Base.name(), minutes(started.elapsed()));
    missing.report();
    nextest(missing)
}

/// Runs every test: doctests, then all others.
///
/// # Errors
/// When one fails.
pub(crate) fn test() -> Result<()> {
    let missing = tools::ensure(&[Need::Nextest, Need::Tests])?;
    missing.report();
    doctests()?;
    nextest(&missing)
}

fn doctests() -> Result<()> {
    step(&["test", "--locked", "--workspace", "--doc", "--quiet"], &[])
}

/// Runs the tests for which everything is there.
fn nextest(missing: &Missing) -> Result<()> {
    // Whole-program tests start the server and the command line, which are built with their own crates' tests.
    let mut arguments = vec!["nextest", "run", "--locked", "--workspace", "--no-fail-fast"];
    let filter = missing.tests_that_can_run();
    if let Some(filter) = &filter {
        arguments.extend(["--filterset", filter]);
    }
    run_cargo(&arguments, &[])
}
