//! Debian's `nats-server`, with a user and a password.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::ports::{free_port, is_served};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A NATS server, running or not. It keeps its port.
pub struct Nats {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// Chooses a port. Nothing runs yet.
    ///
    /// # Errors
    /// If there is no folder or no port for it.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, port: free_port()?, child: None })
    }

    /// Returns its address, with the user and the password that it asks for.
    #[must_use]
    pub fn address(&self) -> String {
        format!("nats://sealpost:p%40ss@127.0.0.1:{}", self.port)
    }

    /// Returns its address without a user.
    #[must_use]
    pub fn bare_address(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Starts it.
    ///
    /// # Errors
    /// If `nats-server` is not installed, or does not come up.
    pub fn start(&mut self) -> Result<()> {
        self.start_for("sealpost")
    }

    /// Starts it with another user than the one that the nodes come as.
    ///
    /// # Errors
    /// As [`Nats::start`].
    pub fn start_for(&mut self, user: &str) -> Result<()> {
        self.start_with(&format!("authorization {{ user: \"{user}\", password: \"p@ss\" }}"))
    }

    /// Starts it with these lines in its configuration.
    ///
    /// # Errors
    /// As [`Nats::start`].
    pub fn start_with(&mut self, lines: &str) -> Result<()> {
        let config = self.folder.path().join("nats.conf");
        fs::write(&config, format!("listen: 127.0.0.1:{}\n{lines}\n", self.port))?;
        let log = fs::File::create(self.log())?;
        let child = Command::new("nats-server")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("nats-server is missing: apt-get install nats-server")?;
        self.kill();
        let child = self.child.insert(child);
        let begin = Instant::now();
        while !is_served(self.port) {
            let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            ensure!(child.try_wait()?.is_none(), "NATS ended:\n{said}");
            ensure!(begin.elapsed() < PATIENCE, "NATS does not come up:\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails when it has ended before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("NATS does not run")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
