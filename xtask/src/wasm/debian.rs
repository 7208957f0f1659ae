//! A compiler for wasm32 from Debian's packages, for machines where rustup can't fetch the target.
//!
//! Debian 12 has a recent rustc for its browsers (`rustc-web`), without a standard library for wasm32 but with the source of
//! one (`rust-web-src`). So the packages are unpacked into a cache (nothing is installed, and root is not needed), the
//! library is built from its source, and its files are put where the compiler looks for them. The version of the package
//! names the folder: a newer one is made anew, the same one is used again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{TARGET, cache};
use crate::command::{answers, cargo, minutes, output, run};

/// The compiler and the library's source; what they depend on is found by apt.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// The manifest of a package that needs nothing but the standard library.
const EMPTY_MANIFEST: &str = "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
/// Where the packages have the sources, the manual and the descriptions. Nothing of it is used after the library is built.
const SPENT: [&str; 3] = ["usr/src", "usr/share", "usr/lib/rustlib/src"];

/// A compiler that is ready.
pub(super) struct Compiler {
    /// Where its packages are unpacked.
    folder: PathBuf,
    /// Its own shared libraries.
    libraries: PathBuf,
    /// The linker for wasm32, which comes with the workspace's own toolchain.
    linker: PathBuf,
}

impl Compiler {
    /// Returns the compiler, made now unless this version of it was made before. `None` where Debian doesn't offer one.
    ///
    /// # Errors
    /// When a package can't be had or the library can't be built.
    pub(super) fn ready() -> Result<Option<Self>> {
        let Some(version) = offered()? else { return Ok(None) };
        let folder = cache::folder()?;
        let place = folder.join(&version);
        if !place.is_dir() {
            let started = Instant::now();
            eprintln!("==> making a compiler for wasm32 from rustc-web {version} (a few minutes, once)");
            make(&folder, &version)?;
            eprintln!("    the compiler for wasm32 took {}", minutes(started.elapsed()));
        }
        eprintln!("==> building for wasm32 with rustc-web {version} in {}", place.display());
        Self::at(place).map(Some)
    }

    fn at(folder: PathBuf) -> Result<Self> {
        let libraries = fs::read_dir(folder.join("usr/lib"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| holds_driver(path))
            .with_context(|| format!("{} holds no compiler", folder.display()))?;
        Ok(Self { libraries, linker: linker()?, folder })
    }

    /// Makes a cargo command use this compiler.
    pub(super) fn lend_to(&self, command: &mut Command) {
        command
            .env("RUSTC", self.folder.join("usr/bin/rustc"))
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
    }
}

fn holds_driver(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("librustc_driver")
    })
}

/// Returns the version of the compiler that Debian offers here.
fn offered() -> Result<Option<String>> {
    if !answers("apt-get", &["--version"]) || !answers("dpkg-deb", &["--version"]) {
        return Ok(None);
    }
    if candidate()?.is_none() && rustix::process::getuid().is_root() {
        run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    }
    candidate()
}

fn candidate() -> Result<Option<String>> {
    let policy = output(Command::new("apt-cache").args(["policy", PACKAGES[0]]).env("LC_ALL", "C"))?;
    Ok(candidate_in(&policy))
}

/// Returns the version that apt would install, in what `apt-cache policy` prints.
fn candidate_in(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// Returns the packages that apt would install, in what `apt-get install --simulate` prints.
fn packages_in(simulated: &str) -> Vec<String> {
    simulated.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).map(str::to_owned).collect()
}

/// Makes the compiler of this version in a folder beside its place, and puts it there at the end.
fn make(folder: &Path, version: &str) -> Result<()> {
    let making = cache::emptied(folder.join("making"))?;
    unpack(&making)?;
    build_library(&Compiler::at(making.clone())?)?;
    for spent in SPENT {
        let path = making.join(spent);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    cache::keep(folder, &making, version)?;
    Ok(())
}

/// Downloads the packages and what they depend on, as far as this machine lacks it, and unpacks them into a folder.
fn unpack(folder: &Path) -> Result<()> {
    let mut simulate = Command::new("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends"]).args(PACKAGES).env("LC_ALL", "C");
    let packages = packages_in(&output(&mut simulate)?);
    let downloads = cache::emptied(folder.join("downloads"))?;
    eprintln!("    downloading {}", packages.join(", "));
    // As another user than root, apt could not write into this folder.
    let mut download = Command::new("apt-get");
    download.args(["download", "--quiet=2", "-o", "APT::Sandbox::User=root"]).args(&packages).current_dir(&downloads);
    run(&mut download)?;
    for package in fs::read_dir(&downloads)? {
        run(Command::new("dpkg-deb").arg("--extract").arg(package?.path()).arg(folder))?;
    }
    if !folder.join("usr/bin/rustc").exists() {
        bail!("the packages {} brought no compiler", packages.join(", "));
    }
    fs::remove_dir_all(downloads).context("the packages cannot be removed again")
}

/// Builds the standard library from its source, and puts it where the compiler looks for that of the target.
fn build_library(compiler: &Compiler) -> Result<()> {
    eprintln!("    building the standard library");
    let nothing = cache::emptied(compiler.folder.join("nothing"))?;
    fs::create_dir(nothing.join("src"))?;
    fs::write(nothing.join("Cargo.toml"), EMPTY_MANIFEST)?;
    fs::write(nothing.join("src/lib.rs"), "")?;
    let mut build = cargo()?;
    build.args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET, "--target-dir"]);
    build.arg("target").current_dir(&nothing);
    compiler.lend_to(&mut build);
    // Building the library is not stable. It is a stable compiler's own library, though, and nothing else is built so.
    run(build.env("RUSTC_BOOTSTRAP", "1"))?;
    let place = compiler.folder.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&place)?;
    for file in fs::read_dir(nothing.join("target").join(TARGET).join("release/deps"))? {
        let file = file?.path();
        let name = file.file_name().unwrap_or_default();
        if file.extension().is_some_and(|extension| extension == "rlib")
            && !name.to_string_lossy().starts_with("libnothing-")
        {
            fs::copy(&file, place.join(name))?;
        }
    }
    fs::remove_dir_all(nothing).context("what was built cannot be removed again")
}

/// Returns the linker for wasm32 of the workspace's own toolchain.
fn linker() -> Result<PathBuf> {
    let libraries = output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let linker = Path::new(libraries.trim()).with_file_name("bin").join("rust-lld");
    if !linker.exists() {
        bail!("{} is not there: this toolchain brings no linker for wasm32", linker.display());
    }
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_packages_are_read_from_what_apt_prints() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(candidate_in(policy).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate_in("rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_in(""), None);
        let simulated = "Reading package lists...\nInst libllvm22 (1:22.1.8 Debian [amd64])\nInst rustc-web (1.96.0)\n\
                         Conf libllvm22 (1:22.1.8 Debian [amd64])\n";
        assert_eq!(packages_in(simulated), ["libllvm22", "rustc-web"]);
    }
}
