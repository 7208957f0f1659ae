//! The server process: started, killed and started again on the same data and the same port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long the server may take to serve, on a loaded machine and after a crash.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Where the programs under test are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `sealpost-server`.
    pub server: PathBuf,
    /// `sealpost`.
    pub client: PathBuf,
}

impl Programs {
    /// The programs in this folder, or beside the running program.
    ///
    /// # Errors
    /// When one of them is not there; the text says how to build it.
    pub fn find(folder: Option<PathBuf>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder,
            None => beside_this_program()?,
        };
        let programs = Self { server: folder.join("sealpost-server"), client: folder.join("sealpost") };
        for program in [&programs.server, &programs.client] {
            if !program.exists() {
                bail!("{} is missing: cargo build --package sealpost-server --package sealpost", program.display());
            }
        }
        Ok(programs)
    }
}

/// Runs a scenario in a new folder, which is kept when the outcome is not clean, for people to look into.
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

fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program lies in a folder")?;
    // A test program lies one level deeper, in `deps`.
    let deeper = folder.file_name().is_some_and(|name| name == "deps");
    Ok(if deeper { folder.parent().unwrap_or(folder) } else { folder }.to_path_buf())
}

/// A server that can be killed and comes back where it was.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
    settings: PathBuf,
    child: Option<Child>,
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

    /// [`start`](Self::start) with another configuration file.
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
            child: None,
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
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let listen = self.url.strip_prefix("https://").unwrap_or("127.0.0.1:0").trim_end_matches('/').to_owned();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("server.log"))?;
        let mut child = Command::new(&self.program)
            .args(["serve", "--listen", &listen, "--data"])
            .arg(self.folder.join("server"))
            .arg("--ready-file")
            .arg(&ready)
            .arg("--config")
            .arg(&self.settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let begin = Instant::now();
        let facts = loop {
            if let Some(facts) = read_json(&ready) {
                break facts;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at its start ({status}); see {}", self.folder.join("server.log").display());
            }
            if begin.elapsed() > START_PATIENCE {
                child.kill()?;
                bail!("the server did not come up within {} s", START_PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.child = Some(child);
        let text = |name: &str| facts.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        self.url = text("url").context("the ready file has no url")?;
        self.private = text("private").context("the ready file has no private listener")?;
        self.ca = text("ca").context("the ready file has no ca")?.into();
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(match &mut self.child {
            Some(child) => child.try_wait()?.is_none(),
            None => false,
        })
    }

    /// kill -9.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails harmlessly when it has ended before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read_json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
