//! Runs the tests of each attack against a build that leaves its countermeasure out. All of them must fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use sealpost_sabotage::{Countermeasure, Row, VARIABLE};

use crate::command::cargo;
use crate::threats;

/// Set in the environment where this program stands in for the compiler.
const WRAPPER: &str = "SEALPOST_SABOTAGE_COMPILER";

/// Returns whether cargo called this program in place of the compiler.
pub(crate) fn stands_in() -> bool {
    std::env::var_os(WRAPPER).is_some()
        && std::env::args_os().nth(1).is_some_and(|program| Path::new(&program).ends_with("rustc"))
}

/// Runs the compiler, with the switch that leaves countermeasures out.
pub(crate) fn compile() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let status = arguments
        .next()
        .map(|compiler| Command::new(compiler).args(arguments).args(["--cfg", "sealpost_sabotage"]).status());
    match status {
        Some(Ok(status)) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Leaves one countermeasure out after the other and runs the tests named after its row. A test that passes without the
/// countermeasure proves nothing, and fails the task.
///
/// # Errors
/// When a test passes that should fail, a row has no test, or nothing can be built.
pub(crate) fn run(rows: &[u8]) -> Result<()> {
    let rows = if rows.is_empty() { threats::rows()? } else { rows.to_vec() };
    eprintln!("building every test without the countermeasures");
    let wrapper = copy_of_this_program()?;
    if !nextest(&wrapper, &["--no-run"], "", "")?.0 {
        bail!("the build failed");
    }
    let mut worthless = Vec::new();
    for countermeasure in rows.into_iter().flat_map(|row| Countermeasure::of(Row(row))) {
        let (row, name) = (countermeasure.row().0, countermeasure.name());
        let filter = format!("test(/(^|::)threat_{row}_/)");
        let (_, output) = nextest(&wrapper, &["--no-fail-fast", "--profile", "sabotage"], &filter, name)?;
        let (failed, passed) = outcomes(&output);
        println!("row {row}, {name}: {} failed without it: {}", failed.len(), failed.join(", "));
        if passed.is_empty() && failed.is_empty() {
            bail!("the tests of row {row} did not run:\n{output}");
        }
        if !passed.is_empty() {
            println!("row {row}, {name}: PASSED without it: {}", passed.join(", "));
            worthless.push(name);
        }
    }
    if !worthless.is_empty() {
        bail!("countermeasures that the tests of their row do not need: {}", worthless.join(", "));
    }
    Ok(())
}

/// Returns the tests that failed and those that passed, from what nextest printed.
fn outcomes(output: &str) -> (Vec<String>, Vec<String>) {
    let (mut failed, mut passed) = (Vec::new(), Vec::new());
    for line in output.lines().map(str::trim) {
        let name = line.rsplit("::").next().and_then(|name| name.split(' ').next_back()).unwrap_or_default();
        if ["FAIL [", "TIMEOUT [", "SIGABRT ["].iter().any(|word| line.starts_with(word)) {
            failed.push(name.to_owned());
        } else if line.starts_with("PASS [") {
            passed.push(name.to_owned());
        }
    }
    // The summary names the failed tests a second time.
    failed.sort();
    failed.dedup();
    (failed, passed)
}

/// Copies this program, because the build replaces the program itself. Returns the copy.
fn copy_of_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let copy = program.with_file_name("sabotage-compiler");
    fs::copy(&program, &copy).with_context(|| format!("{} could not be written", copy.display()))?;
    Ok(copy)
}

fn nextest(wrapper: &Path, arguments: &[&str], filter: &str, name: &str) -> Result<(bool, String)> {
    let mut command = cargo()?;
    command.args(["nextest", "run", "--locked", "--workspace", "--status-level", "pass", "--color", "never"]);
    command.args(arguments);
    if !filter.is_empty() {
        command.args(["-E", filter]);
    }
    // Cargo calls this program for the workspace's own crates, and keeps the results apart from those of normal builds.
    command.env("RUSTC_WORKSPACE_WRAPPER", wrapper).env(WRAPPER, "1").env(VARIABLE, name);
    if filter.is_empty() {
        return Ok((command.status().context("cargo could not be started")?.success(), String::new()));
    }
    let output = command.stdout(Stdio::null()).output().context("cargo could not be started")?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}
