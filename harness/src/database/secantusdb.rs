//! SecantusDB's server as a process of its own: it speaks MongoDB's protocol over WiredTiger, as a replica set of one member.
//! It is found in the folder that `SEALPOST_SECANTUSDB` names, or in `target/engines/secantusdb` of the workspace.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A running SecantusDB, killed when dropped.
pub struct Database {
    child: Child,
    address: String,
}

impl Database {
    /// Starts the server on a folder; 0 is any free port.
    ///
    /// # Errors
    /// If it is not installed, or ends before it listens.
    pub fn start(storage: &Path, port: u16) -> Result<Self> {
        Self::start_with(storage, port, &[])
    }

    /// Starts the server with more flags.
    ///
    /// # Errors
    /// As [`Database::start`].
    pub fn start_with(storage: &Path, port: u16, flags: &[&str]) -> Result<Self> {
        let mut child = Command::new(folder()?.join("secantusdb.scripts/secantusd-rs"))
            .args(["--port", &port.to_string(), "--storage-path"])
            .arg(storage)
            // Without `--sync-on-commit` it loses journalled writes, without `--log-file-max` it takes 2 GB.
            .args(["--cache-size", "256M", "--log-file-max", "16MB", "--sync-on-commit", "--log-level", "WARNING"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        let mut database = Self { child, address: String::new() };
        let mut lines = BufReader::new(output).lines();
        while database.address.is_empty() {
            let line = lines.next().context("SecantusDB ended before it listened")??;
            if let Some((_, address)) = line.split_once("listening on ") {
                database.address = address.to_owned();
            }
        }
        // It would stop at a full pipe.
        std::thread::spawn(move || for _line in lines {});
        Ok(database)
    }

    /// Returns `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Fails when it has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> Result<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/engines/secantusdb");
    let folder = std::env::var_os("SEALPOST_SECANTUSDB").map_or(installed, PathBuf::from);
    if !folder.join("secantusdb.scripts/secantusd-rs").exists() {
        bail!(
            "{} is no SecantusDB; install it with `cargo xtask engines`, name its folder in SEALPOST_SECANTUSDB, or a \
             MongoDB in SEALPOST_TEST_MONGODB_URI",
            folder.display()
        );
    }
    Ok(folder)
}
