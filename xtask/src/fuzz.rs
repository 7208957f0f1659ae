//! The fuzz targets: builds them, replays their corpora, and runs them for a while.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, root, run_cargo};

/// Flags of the build for replays. It is done in every run of the checks, so it is optimised little.
const QUICK: [&str; 2] = ["--dev", "--sanitizer=none"];
/// Flags of the build for long runs.
const FAST: [&str; 1] = ["--sanitizer=none"];

/// Builds every target and runs it on each input of its corpus.
///
/// # Errors
/// When a target does not build, or fails on an input.
pub(crate) fn replay() -> Result<()> {
    run_cargo(&[&["fuzz", "build"][..], &QUICK].concat(), &[])?;
    for target in targets()? {
        let corpus = root()?.join("fuzz/corpus").join(&target);
        if !corpus.is_dir() {
            bail!("the fuzz target {target} has no corpus: run the `seeds` binary of fuzz/");
        }
        let executed = execute(&target, &QUICK, "-runs=0")?;
        eprintln!("{target}: {executed} inputs replayed");
    }
    Ok(())
}

/// Runs each chosen target for this many seconds, and prints how many executions there were.
///
/// # Errors
/// When a target fails on an input; its file is named above.
pub(crate) fn run(chosen: &[String], seconds: u64) -> Result<()> {
    run_cargo(&[&["fuzz", "build"][..], &FAST].concat(), &[])?;
    for target in targets()? {
        if chosen.is_empty() || chosen.contains(&target) {
            eprintln!("{target}: running for {seconds} s");
            let executed = execute(&target, &FAST, &format!("-max_total_time={seconds}"))?;
            println!("{target}: {executed} executions in {seconds} s, no failure");
        }
    }
    Ok(())
}

/// Returns the targets, as cargo-fuzz lists them.
fn targets() -> Result<Vec<String>> {
    let output = cargo()?.args(["fuzz", "list"]).output().context("cargo fuzz could not be started")?;
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.lines().map(str::to_owned).filter(|name| name != "seeds").collect())
}

/// Runs one target, and returns the number of executions.
fn execute(target: &str, flags: &[&str], limit: &str) -> Result<u64> {
    let mut command: Command = cargo()?;
    command.args(["fuzz", "run"]).args(flags).args([target, "--", limit, "-print_final_stats=1", "-verbosity=0"]);
    let output = command.stdout(Stdio::null()).output().context("cargo fuzz could not be started")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the fuzz target {target} failed:\n{text}");
    }
    text.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
        .with_context(|| format!("the fuzz target {target} did not say how much it did:\n{text}"))
}
