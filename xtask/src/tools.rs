//! What the checks need beside Rust itself: found, or installed from crates.io.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::run_cargo;

/// A cargo subcommand that the checks use, and the crate that brings it.
const CARGO_TOOLS: [(&str, &str); 2] = [("nextest", "cargo-nextest"), ("deny", "cargo-deny")];

/// Makes sure that a C compiler and the cargo subcommands are there.
///
/// # Errors
/// When the C compiler is missing (it comes with the system, not with Rust), or an installation fails.
pub(crate) fn ensure() -> Result<()> {
    if !answers("cc", &["--version"]) {
        bail!("no C compiler: SQLite and ring need one. On Debian: apt-get install gcc libc6-dev");
    }
    for (subcommand, package) in CARGO_TOOLS {
        if !answers("cargo", &[subcommand, "--version"]) {
            eprintln!("cargo {subcommand} is missing; installing {package} (a few minutes, once)");
            run_cargo(&["install", "--locked", package], &[]).with_context(|| format!("{package} is needed"))?;
        }
    }
    Ok(())
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
