//! What the checks need beside Rust itself: found, or installed from crates.io, Debian and PyPI.
//!
//! What can't be installed from here is told, with what is left out because of it; `--require` makes it a failure.

mod missing;
mod programs;
mod wheels;

use anyhow::{Context as _, Result, bail};

pub(crate) use missing::{Lack, Missing};

use crate::command::{answers, run_cargo};

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Running any test.
    Nextest,
    /// Looking at the dependencies.
    Supply,
    /// Replaying the fuzz corpora.
    Fuzz,
    /// Building for WebAssembly.
    Web,
    /// Some of the tests, which are left out without it.
    Tests,
}

impl Need {
    /// Every need.
    pub(crate) const ALL: [Self; 5] = [Self::Nextest, Self::Supply, Self::Fuzz, Self::Web, Self::Tests];
}

/// A cargo subcommand that the checks use, the crate that brings it, and what it is needed for.
const CARGO_TOOLS: [(&str, &str, Need); 3] = [
    ("nextest", "cargo-nextest", Need::Nextest),
    ("deny", "cargo-deny", Need::Supply),
    ("fuzz", "cargo-fuzz", Need::Fuzz),
];

/// Installs what these needs lack, and returns what can't be installed from here.
///
/// # Errors
/// When there is no C compiler or no nextest, without which nothing can be checked; or when an installation fails.
pub(crate) fn ensure(needs: &[Need]) -> Result<Missing> {
    if !answers("cc", &["--version"]) {
        bail!("no C compiler: SQLite and ring need one. On Debian: apt-get install gcc libc6-dev");
    }
    let mut missing = programs::ensure(needs)?;
    for (subcommand, package, need) in CARGO_TOOLS {
        if needs.contains(&need) && !answers("cargo", &[subcommand, "--version"]) {
            eprintln!("cargo {subcommand} is missing; installing {package} (a few minutes, once)");
            let installed = run_cargo(&["install", "--locked", package], &[]);
            match installed.with_context(|| format!("{package} is needed")) {
                Err(error) if need == Need::Nextest => return Err(error),
                Err(_) => missing.add(Lack::tool(package, &format!("cargo install --locked {package}"), need)),
                Ok(()) => {}
            }
        }
    }
    if needs.contains(&Need::Tests) {
        wheels::ensure(&mut missing);
    }
    Ok(missing)
}

/// Installs what these needs lack.
///
/// # Errors
/// As [`ensure`], and when something can't be installed from here.
pub(crate) fn require(needs: &[Need]) -> Result<()> {
    ensure(needs)?.refuse()
}
