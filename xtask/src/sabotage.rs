//! Runs the test of each attack against a build that leaves its countermeasure out: every one of them must fail.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, root};
use crate::threats;

/// Leaves one countermeasure out after the other and runs the tests named after its row. A test that passes without the
/// countermeasure proves nothing, and fails the task.
///
/// # Errors
/// When a test passes that should fail, a row has no test, or nothing can be built.
pub(crate) fn run(rows: &[u8]) -> Result<()> {
    let rows = if rows.is_empty() { threats::rows()? } else { rows.to_vec() };
    eprintln!("building every test without the countermeasures");
    if !nextest(&["--no-run"], "", "")?.0 {
        bail!("the build failed");
    }
    let mut worthless = Vec::new();
    for row in rows {
        let filter = format!("test(/(^|::)threat_{row}_/)");
        let (_, output) = nextest(&["--no-fail-fast", "--profile", "sabotage"], &filter, &row.to_string())?;
        let (mut failed, mut passed) = (Vec::new(), Vec::new());
        for line in output.lines().map(str::trim) {
            let name = line.rsplit("::").next().and_then(|name| name.split(' ').next_back()).unwrap_or_default();
            if ["FAIL [", "TIMEOUT [", "SIGABRT ["].iter().any(|word| line.starts_with(word)) {
                failed.push(name.to_owned());
            } else if line.starts_with("PASS [") {
                passed.push(name.to_owned());
            }
        }
        // The summary names the failed ones once more.
        failed.sort();
        failed.dedup();
        println!("row {row}: {} failed without it: {}", failed.len(), failed.join(", "));
        if !passed.is_empty() || failed.is_empty() {
            println!("row {row}: PASSED without it: {}", passed.join(", "));
            worthless.push(row.to_string());
        }
    }
    if !worthless.is_empty() {
        bail!("rows whose tests do not need the countermeasure: {}", worthless.join(", "));
    }
    Ok(())
}

fn nextest(arguments: &[&str], filter: &str, row: &str) -> Result<(bool, String)> {
    let mut command = cargo()?;
    command.args(["nextest", "run", "--locked", "--workspace", "--status-level", "pass", "--color", "never"]);
    command.args(arguments);
    if !filter.is_empty() {
        command.args(["-E", filter]);
    }
    // A build of its own, beside the normal one.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root()?.join("target"), Into::into).join("sabotage");
    command.env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", "--cfg sealpost_sabotage").env("SEALPOST_SABOTAGE", row);
    if filter.is_empty() {
        return Ok((command.status().context("cargo could not be started")?.success(), String::new()));
    }
    let output = command.stdout(Stdio::null()).output().context("cargo could not be started")?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}
