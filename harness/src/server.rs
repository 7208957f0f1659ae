//! The server's process: started, looked at, stopped and killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sealpost_transport::{Connector, Roots};
use serde_json::Value;

/// How long a start or a stop may take: on a loaded machine, after a crash, with much in the store.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    facts: Value,
    log: PathBuf,
}

impl Server {
    /// Starts a server, and waits until it serves.
    ///
    /// `command` is `sealpost-server serve` with its flags. Where it is reached, it writes into the file `ready`, and what it
    /// prints is added to the file `log`.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not serve in time. The error holds its log.
    pub fn start(command: &mut Command, ready: &Path, log: &Path) -> Result<Self> {
        Self::start_by(command, ready, log, Command::spawn)
    }

    /// Starts a server as [`Server::start`] does, with a way to spawn its process.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_by(
        command: &mut Command,
        ready: &Path,
        log: &Path,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> Result<Self> {
        if ready.exists() {
            fs::remove_file(ready)?;
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.arg("--ready-file").arg(ready).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(command).with_context(|| format!("{:?} could not be started", command.get_program()))?;
        let mut server = Self { child, facts: Value::Null, log: log.to_owned() };
        let begin = Instant::now();
        loop {
            if let Some(facts) = fs::read(ready).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                server.facts = facts;
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended at its start ({status}):\n{}", server.log());
            }
            ensure!(begin.elapsed() < PATIENCE, "the server did not come up:\n{}", server.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Returns what the server wrote into its ready file.
    #[must_use]
    pub fn facts(&self) -> &Value {
        &self.facts
    }

    /// Returns one text of the ready file.
    ///
    /// # Errors
    /// If there is no such text.
    pub fn fact(&self, name: &str) -> Result<&str> {
        self.facts.get(name).and_then(Value::as_str).with_context(|| format!("the ready file has no {name}"))
    }

    /// Returns the certificate of the server's own authority, where it has one.
    #[must_use]
    pub fn ca(&self) -> Option<PathBuf> {
        self.fact("ca").ok().map(PathBuf::from)
    }

    /// Returns a connector that trusts the server's own authority and nobody else.
    ///
    /// # Errors
    /// If the ready file says no address, or its authority cannot be read.
    pub fn connector(&self) -> Result<Connector> {
        let roots = match self.ca() {
            Some(ca) => Roots::none().with_pem(&fs::read(ca).context("the server's authority cannot be read")?)?,
            None => Roots::none(),
        };
        Ok(Connector::with_roots(self.fact("url")?.parse()?, roots)?)
    }

    /// Returns what the server printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the process.
    #[must_use]
    pub fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process still runs.
    ///
    /// # Errors
    /// If the process cannot be asked.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until the process has ended, and returns how.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(begin.elapsed() < PATIENCE, "the server did not end:\n{}", self.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Tells the server to stop, and waits until it has.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop(mut self) -> Result<ExitStatus> {
        kill_process(self.process(), Signal::TERM)?;
        self.ended()
    }

    /// Kills the process, as `kill -9` does.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
