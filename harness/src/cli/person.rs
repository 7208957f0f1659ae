//! A person at the command line: runs `sealpost` with `--json` and reads its lines.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::programs::Programs;

/// How long a command may take that is given many lines, on a loaded machine.
const INPUT_PATIENCE: Duration = Duration::from_secs(300);

/// A profile of the command line.
#[derive(Clone, Debug)]
pub struct Person {
    /// Account name.
    pub name: String,
    profile: String,
    program: PathBuf,
    folder: PathBuf,
    url: String,
    ca: PathBuf,
    timeout_seconds: u32,
}

/// When a running command is to be killed.
#[derive(Clone, Copy, Debug)]
pub enum KillAt {
    /// Not at all.
    Never,
    /// After this time, if it still runs.
    After(Duration),
    /// As soon as it has printed an event of this kind.
    Event(&'static str),
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its JSON lines.
    pub lines: Vec<Value>,
    /// Its exit code; `None` when it was killed before it ended by itself.
    pub code: Option<i32>,
}

impl Ended {
    /// Returns whether it printed an event of this kind.
    #[must_use]
    pub fn has(&self, event: &str) -> bool {
        self.lines.iter().any(|line| line.get("event").and_then(Value::as_str) == Some(event))
    }

    /// Returns whether it was killed before it ended.
    #[must_use]
    pub const fn was_killed(&self) -> bool {
        self.code.is_none()
    }
}

/// A command that runs on, its lines arriving one by one.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    collected: Vec<Value>,
}

impl Person {
    /// Makes a person with a profile of this name below `folder`.
    ///
    /// # Errors
    /// When the secret files cannot be written.
    pub fn new(name: &str, programs: &Programs, folder: &Path, url: &str, ca: &Path) -> Result<Self> {
        for kind in ["password", "passphrase"] {
            let path = folder.join(format!("{name}.{kind}"));
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            write!(file, "{name} and a {kind} of their own")?;
        }
        Ok(Self {
            name: name.to_owned(),
            profile: name.to_owned(),
            program: programs.client.clone(),
            folder: folder.to_path_buf(),
            url: url.to_owned(),
            ca: ca.to_path_buf(),
            timeout_seconds: 30,
        })
    }

    /// Returns the same person, whose commands give up after this number of seconds.
    #[must_use]
    pub const fn patient_for(mut self, seconds: u32) -> Self {
        self.timeout_seconds = seconds;
        self
    }

    /// Starts a command.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        self.start_with(arguments, Stdio::null())
    }

    /// Runs a command with this on its standard input, to its end.
    ///
    /// # Errors
    /// When it cannot be started, prints something else than JSON, or hangs.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<Ended> {
        let mut running = self.start_with(arguments, Stdio::piped())?;
        let mut pipe = running.child.stdin.take().context("the command's input is piped")?;
        let input = input.to_owned();
        std::thread::spawn(move || {
            // A command that ended early has said why.
            let _ = pipe.write_all(input.as_bytes());
        });
        running.finish(KillAt::Never, INPUT_PATIENCE)
    }

    fn start_with(&self, arguments: &[&str], input: Stdio) -> Result<Running> {
        let log = self.folder.join(format!("{}.stderr", self.profile));
        let errors = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = Command::new(&self.program)
            .arg("--data")
            .arg(self.folder.join("clients"))
            .args(["--profile", &self.profile, "--json", "--server", &self.url])
            .args(["--timeout", &self.timeout_seconds.to_string()])
            .arg("--ca")
            .arg(&self.ca)
            .arg("--password-file")
            .arg(self.folder.join(format!("{}.password", self.profile)))
            .arg("--passphrase-file")
            .arg(self.folder.join(format!("{}.passphrase", self.profile)))
            .args(arguments)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let output = child.stdout.take().context("the command's output is piped")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = String::new();
            // A line cut short by a kill has no end and does not count as printed.
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
            let _ = reader.read_to_string(&mut line);
        });
        Ok(Running { child, lines, collected: Vec::new() })
    }

    /// Runs a command to its end, or to its kill.
    ///
    /// # Errors
    /// When it cannot be started, prints something else than JSON, or hangs.
    pub fn run(&self, arguments: &[&str], kill: KillAt) -> Result<Ended> {
        self.start(arguments)?
            .finish(kill, Duration::from_secs(u64::from(self.timeout_seconds) * 3))
            .with_context(|| format!("{}: `sealpost {}`", self.name, arguments.first().copied().unwrap_or_default()))
    }
}

impl Running {
    /// Waits for the end, killing when it is time.
    ///
    /// # Errors
    /// When it prints something else than JSON, or runs longer than `patience`.
    pub fn finish(mut self, kill: KillAt, patience: Duration) -> Result<Ended> {
        let begin = Instant::now();
        let status = loop {
            self.collect(Duration::from_millis(1))?;
            let due = match kill {
                KillAt::Never => false,
                KillAt::After(time) => begin.elapsed() >= time,
                KillAt::Event(event) => {
                    self.collected.iter().any(|line| line.get("event").and_then(Value::as_str) == Some(event))
                }
            };
            if due {
                break self.kill_now()?;
            }
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if begin.elapsed() > patience {
                self.kill_now()?;
                bail!("hung for {} s", patience.as_secs());
            }
        };
        self.drain()?;
        Ok(Ended { lines: std::mem::take(&mut self.collected), code: status.code() })
    }

    /// Kills it, as `kill -9` does, and returns what it printed until then.
    ///
    /// # Errors
    /// When it printed something else than JSON.
    pub fn kill(mut self) -> Result<Ended> {
        let status = self.kill_now()?;
        self.drain()?;
        Ok(Ended { lines: std::mem::take(&mut self.collected), code: status.code() })
    }

    /// Returns whether it has ended by itself.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn kill_now(&mut self) -> Result<ExitStatus> {
        // Fails only when it has ended by itself, which its status then says.
        let _ = self.child.kill();
        Ok(self.child.wait()?)
    }

    fn collect(&mut self, wait: Duration) -> Result<()> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => self.keep(&line),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(wait);
                Ok(())
            }
        }
    }

    fn drain(&mut self) -> Result<()> {
        while let Ok(line) = self.lines.recv() {
            self.keep(&line)?;
        }
        Ok(())
    }

    fn keep(&mut self, line: &str) -> Result<()> {
        let line = serde_json::from_str(line).with_context(|| format!("not a JSON line: {line}"))?;
        self.collected.push(line);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An orphan would keep the profile's lock.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
