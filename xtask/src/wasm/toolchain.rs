//! Which compiler builds for wasm32: rustup's, or one made from Debian's packages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::debian;
use crate::command::{answers, output};

/// Set to `debian` to use Debian's compiler although rustup has the target.
const CHOICE: &str = "SEALPOST_WEB_COMPILER";

/// There is no compiler for wasm32, and no way to get one.
#[derive(Debug)]
pub(super) struct Unavailable;

impl std::fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(
            "no compiler for wasm32 (rustup target add wasm32-unknown-unknown, or a Debian with the package rustc-web)",
        )
    }
}

impl std::error::Error for Unavailable {}

/// A compiler that can build for wasm32.
pub(super) enum Toolchain {
    /// The workspace's own, with rustup's standard library for the target.
    Rustup,
    /// One from Debian, driven by the workspace's cargo.
    Debian(debian::Compiler),
}

impl Toolchain {
    /// Returns rustup's if it has the target or can add it, else Debian's.
    ///
    /// # Errors
    /// [`Unavailable`], or why Debian's can't be made ready.
    pub(super) fn find() -> Result<Self> {
        let debian = std::env::var_os(CHOICE).is_some_and(|choice| choice == "debian");
        if !debian && (target_is_there() || target_can_be_added()) {
            eprintln!("==> building for wasm32 with the target of rustup");
            return Ok(Self::Rustup);
        }
        Ok(Self::Debian(debian::Compiler::ready()?.ok_or(Unavailable)?))
    }

    /// Makes a cargo command use this compiler.
    pub(super) fn lend_to(&self, command: &mut Command) {
        if let Self::Debian(compiler) = self {
            compiler.lend_to(command);
        }
    }
}

/// Returns whether the workspace's compiler has a standard library for the target.
fn target_is_there() -> bool {
    let libraries = output(Command::new("rustc").args(["--print", "target-libdir", "--target", super::TARGET]));
    libraries.is_ok_and(|folder| PathBuf::from(folder.trim()).is_dir())
}

/// Asks rustup for the target; without a network this fails, and soon.
fn target_can_be_added() -> bool {
    eprintln!("==> rustup target add {}", super::TARGET);
    answers("rustup", &["target", "add", super::TARGET]) && target_is_there()
}
