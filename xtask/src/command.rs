//! Running other programs from the workspace's root, saying which and how long each took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Returns the workspace's root: the folder above this crate's.
pub(crate) fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("the xtask crate lies in the workspace's root folder")
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_folder() -> Result<PathBuf> {
    Ok(match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root()?.join(folder),
        None => root()?.join("target"),
    })
}

/// Returns the folder of the programs that were built with this profile.
pub(crate) fn built(profile: &str) -> Result<PathBuf> {
    Ok(target_folder()?.join(profile))
}

/// Returns the cargo that runs this task.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?).stdin(Stdio::null());
    // Set for this crate by the cargo that runs it; meant for no other.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Runs `cargo` with these arguments, and fails when it does.
pub(crate) fn run_cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let mut command = cargo()?;
    command.args(arguments).envs(environment.iter().copied());
    eprintln!("\n==> cargo {}", arguments.join(" "));
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Runs `cargo` as [`run_cargo`] does, and prints how long it took.
pub(crate) fn step(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let started = Instant::now();
    run_cargo(arguments, environment)?;
    eprintln!("    took {}", minutes(started.elapsed()));
    Ok(())
}

/// Runs a program, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{program} failed");
    }
    Ok(())
}

/// Runs a program, and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} could not be started"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns whether a program can be started with these arguments.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        // slowhttptest ends with 1 after its help.
        .is_ok_and(|status| status.code().is_some_and(|code| code < 2))
}

/// Returns a time as a person says it.
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_minutes_once_there_is_one() {
        let told = [0.25, 59.9, 60.0, 754.6].map(|seconds| minutes(Duration::from_secs_f64(seconds)));
        assert_eq!(told, ["0.2 s", "59.9 s", "1 min 0 s", "12 min 34 s"]);
    }
}
