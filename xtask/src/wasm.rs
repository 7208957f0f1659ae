//! Builds what a browser takes — the cryptography, the wire types and the client with its vault — for wasm32.
//!
//! With the toolchain of this workspace where rustup has the target or can add it; else with a compiler from Debian, for
//! which the standard library is built once and kept in a cache outside the tree.

mod cache;
mod debian;
mod toolchain;

use anyhow::Result;

use crate::command::{cargo, run, target_folder};
use toolchain::Toolchain;

/// The target: a browser's WebAssembly, without an operating system.
const TARGET: &str = "wasm32-unknown-unknown";

/// Nothing of what is built here runs, so it is built quickly: not optimised as tests need it, and without debug information.
const QUICK: [&str; 4] = ["--config", "profile.dev.debug=false", "--config", "profile.dev.package.\"*\".opt-level=0"];

/// What is built. The client comes without its native parts: an engine, and a vault on SQLite.
const CRATES: [&str; 8] = [
    "--package=sealpost-crypto",
    "--package=sealpost-api",
    "--package=sealpost-client",
    "--no-default-features",
    "--features=sealpost-client/vault",
    "--lib",
    "--locked",
    "--target=wasm32-unknown-unknown",
];

/// Builds the three crates. Where no toolchain can be had, says so and builds nothing, unless it is required.
///
/// # Errors
/// When something does not compile, when a toolchain can't be made, or when none can be had and it is required.
pub(crate) fn build(require: bool) -> Result<()> {
    let toolchain = match Toolchain::find() {
        Err(error) if !require && error.is::<toolchain::Unavailable>() => {
            eprintln!("==> {error}; left out: the build for WebAssembly");
            return Ok(());
        }
        found => found?,
    };
    let mut command = cargo()?;
    command.arg("build").args(QUICK).args(CRATES);
    // Apart from the native build: another compiler, and other flags for what both build.
    command.arg("--target-dir").arg(target_folder()?.join("web"));
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "--deny warnings");
    toolchain.lend_to(&mut command);
    eprintln!("\n==> cargo build {}", CRATES.join(" "));
    run(&mut command)
}
