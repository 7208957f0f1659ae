//! The server process: started, killed and started again on the same data and the same port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use sealpost_harness::cli::Programs;
use sealpost_harness::server::Server as Process;

/// Runs a scenario in a new folder, which is kept for inspection if the outcome is not clean.
///
/// # Errors
/// When there is no such folder, or the scenario cannot be run.
pub(crate) fn in_folder<R>(
    prefix: &str,
    is_clean: impl FnOnce(&R) -> bool,
    run: impl FnOnce(&Path) -> Result<R>,
) -> Result<R> {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
    let outcome = run(folder.path());
    if !outcome.as_ref().is_ok_and(is_clean) {
        eprintln!("everything is kept in {}", folder.keep().display());
    }
    outcome
}

/// A server that can be killed and comes back where it was.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
    settings: PathBuf,
    process: Option<Process>,
    /// Its URL, the same after each start.
    pub url: String,
    /// Its CA's certificate.
    pub ca: PathBuf,
    /// The URL of its private listener, another after each start.
    pub private: String,
}

impl Server {
    /// Starts the server for the first time, on any free port, with its data in `folder`.
    ///
    /// # Errors
    /// When it does not come up; its log is in `folder`.
    pub fn start(programs: &Programs, folder: &Path) -> Result<Self> {
        Self::start_with(programs, folder, include_str!("../server.toml"))
    }

    /// Does the same as [`start`](Self::start) with another configuration file.
    ///
    /// # Errors
    /// When it does not come up; its log is in `folder`.
    pub fn start_with(programs: &Programs, folder: &Path, configuration: &str) -> Result<Self> {
        let settings = folder.join("server.toml");
        fs::write(&settings, configuration)?;
        let mut server = Self {
            program: programs.server.clone(),
            folder: folder.to_path_buf(),
            settings,
            process: None,
            url: String::new(),
            ca: PathBuf::new(),
            private: String::new(),
        };
        server.restart()?;
        Ok(server)
    }

    /// Starts the server again, on the port it had.
    ///
    /// # Errors
    /// When it does not come up; its log is in its folder.
    pub fn restart(&mut self) -> Result<()> {
        let ready = self.folder.join("ready.json");
        let listen = self.url.strip_prefix("https://").unwrap_or("127.0.0.1:0").trim_end_matches('/').to_owned();
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--listen", &listen, "--data"])
            .arg(self.folder.join("server"))
            .arg("--config")
            .arg(&self.settings);
        let process = Process::start(&mut command, &ready, &self.folder.join("server.log"))?;
        self.url = process.fact("url")?.to_owned();
        self.private = process.fact("private")?.to_owned();
        self.ca = process.fact("ca")?.into();
        self.process = Some(process);
        Ok(())
    }

    /// Returns whether the process still runs.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub fn is_alive(&mut self) -> Result<bool> {
        self.process.as_mut().map_or(Ok(false), Process::is_alive)
    }

    /// Kills the process with kill -9.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }
}
