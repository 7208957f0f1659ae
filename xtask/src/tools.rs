//! What the checks need beside Rust itself: found, or installed from crates.io, Debian and PyPI.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::{root, run, run_cargo};

/// A cargo subcommand that the checks use, and the crate that brings it.
const CARGO_TOOLS: [(&str, &str); 3] = [("nextest", "cargo-nextest"), ("deny", "cargo-deny"), ("fuzz", "cargo-fuzz")];

/// A program that the tests start, how to see that it is there, and the Debian package that brings it.
const PROGRAMS: [(&str, &str, &str); 9] = [
    ("c++", "--version", "g++"),
    ("make", "--version", "make"),
    ("fuse2fs", "--version", "fuse2fs"),
    ("git", "--version", "git"),
    ("mkfs.ext4", "-V", "e2fsprogs"),
    ("nginx", "-v", "nginx-light"),
    ("slowhttptest", "-h", "slowhttptest"),
    ("strace", "-V", "strace"),
    ("testssl", "--version", "testssl.sh"),
];

/// The Autobahn cases for WebSockets, as a Python package with its own binary.
const KOSOKU: &str = "kosoku==0.1.0";
const KOSOKU_WHEEL: &str = "kosoku-0.1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
const KOSOKU_SHA256: &str = "a9b34e593defe29d931e346c88947b58a015495f09dd13643e4cc952c75602ac";
/// Where it is unpacked, from the workspace's root; the tests look here unless `SEALPOST_KOSOKU` names another folder.
const KOSOKU_FOLDER: &str = "target/engines/kosoku";

/// Makes sure that everything is there: programs, cargo subcommands, engines of tests.
///
/// # Errors
/// When something is missing that cannot be installed from here, saying how to install it.
pub(crate) fn ensure() -> Result<()> {
    programs()?;
    for (subcommand, package) in CARGO_TOOLS {
        if !answers("cargo", &[subcommand, "--version"]) {
            eprintln!("cargo {subcommand} is missing; installing {package} (a few minutes, once)");
            run_cargo(&["install", "--locked", package], &[]).with_context(|| format!("{package} is needed"))?;
        }
    }
    kosoku()
}

fn programs() -> Result<()> {
    if !answers("cc", &["--version"]) {
        bail!("no C compiler: SQLite and ring need one. On Debian: apt-get install gcc libc6-dev");
    }
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, flag, _)| !answers(program, &[flag]))
        .map(|(_, _, package)| *package)
        .collect();
    if !answers("python3", &["-m", "pip", "--version"]) {
        missing.push("python3-pip");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !rustix::process::getuid().is_root() || !answers("apt-get", &["--version"]) {
        bail!("programs that the tests start are missing. On Debian, as root: {line}");
    }
    eprintln!("==> {line}");
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(missing))
}

/// Fetches the wheel, checks its hash and unpacks it.
fn kosoku() -> Result<()> {
    let folder = root()?.join(KOSOKU_FOLDER);
    if folder.join("kosoku/__init__.py").exists() {
        return Ok(());
    }
    let downloads = root()?.join("target/engines/downloads");
    eprintln!("==> fetching {KOSOKU}");
    let mut download = Command::new("python3");
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    download
        .args(["--python-version", "3.12", "--platform", "manylinux2014_x86_64", "--dest"])
        .arg(&downloads)
        .arg(KOSOKU);
    run(&mut download)?;
    let wheel = downloads.join(KOSOKU_WHEEL);
    if sha256(&wheel)? != KOSOKU_SHA256 {
        bail!("{} is not the file that it should be", wheel.display());
    }
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&folder))
}

fn sha256(path: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(path).output().context("sha256sum is missing")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        // slowhttptest ends with 1 after its help.
        .is_ok_and(|status| status.code().is_some_and(|code| code < 2))
}
