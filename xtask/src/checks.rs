//! The checks that CI runs, in the order in which a failure costs least.

use anyhow::Result;

use crate::command::run_cargo;
use crate::{fuzz, supply};

/// Every check; the tests come last, so that their summary is the last line.
pub(crate) fn ci() -> Result<()> {
    run_cargo(&["fmt", "--all", "--check"], &[])?;
    run_cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"], &[])?;
    supply::advisories()?;
    run_cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    // The engine must stay usable without the native adapters, the server's half of the keys without sessions.
    run_cargo(&["check", "--locked", "--package", "sealpost-crypto", "--no-default-features"], &[])?;
    run_cargo(&["check", "--locked", "--package", "sealpost-client", "--no-default-features"], &[])?;
    run_cargo(
        &["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"],
        &[("RUSTDOCFLAGS", "--deny warnings")],
    )?;
    fuzz::replay()?;
    test()
}

/// Doctests, then every other test.
pub(crate) fn test() -> Result<()> {
    run_cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"], &[])?;
    // Whole-program tests start the server and the command line, which are built with their own crates' tests.
    run_cargo(&["nextest", "run", "--locked", "--workspace", "--no-fail-fast"], &[])
}
