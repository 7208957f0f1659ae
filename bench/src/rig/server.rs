//! The server's process, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use sealpost_transport::Connector;
use serde_json::Value;

use super::{RigOptions, Transport, cores, database, wire};

/// How long a start or a stop may take on a busy machine with much in the store.
const PATIENCE: Duration = Duration::from_secs(120);
/// The settings: checks on, their numbers raised.
const CONFIG: &str = include_str!("../../config/load.toml");

/// A server that runs, or did. Dropping it ends the process and removes the folder.
pub(crate) struct Server {
    options: RigOptions,
    transport: Transport,
    folder: tempfile::TempDir,
    /// Where it keeps everything, if not in its data folder.
    database: Option<String>,
    child: Option<Child>,
    /// How it is reached, once it runs.
    connector: Option<Connector>,
}

impl Server {
    /// Starts one for the first time.
    pub(crate) fn start(options: &RigOptions, transport: Transport) -> Result<Self> {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("sealpost-bench-");
        let folder = match &options.folder {
            Some(place) => folder.tempdir_in(place),
            None => folder.tempdir(),
        }?;
        fs::write(folder.path().join("server.toml"), CONFIG)?;
        let database = options
            .mongodb
            .as_ref()
            .map(|address| format!("{}/sealpost_bench_{:032x}", address.trim_end_matches('/'), rand::random::<u128>()));
        let mut server = Self { options: options.clone(), transport, folder, database, child: None, connector: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it again on the same data.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let (ready, log) = (self.folder.path().join("ready.json"), self.folder.path().join("server.log"));
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let program = program(self.options.server_binary.as_deref())?;
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.path().join("server.toml"))
            .arg("--ready-file")
            .arg(&ready)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(database) = &self.database {
            command.args(["--store", database]);
        }
        if self.transport == Transport::Plain {
            command.arg("--plain-http");
        }
        let spawn = || command.spawn().with_context(|| format!("{} could not be started", program.display()));
        let child = self.child.insert(cores::on_server_core(&self.options, spawn)?);
        let begin = Instant::now();
        let facts: Value = loop {
            if let Some(facts) = fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                break facts;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at its start ({status}):\n{}", fs::read_to_string(&log)?);
            }
            if begin.elapsed() > PATIENCE {
                bail!("the server did not come up:\n{}", fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.connector = Some(connector(&facts)?);
        Ok(())
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        let begin = Instant::now();
        while child.try_wait()?.is_none() {
            if begin.elapsed() > PATIENCE {
                child.kill()?;
                bail!("the server did not stop");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the server does not run")?.id())
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database it keeps everything in, if not its data folder.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Returns how it is reached.
    pub(crate) fn connector(&self) -> Result<&Connector> {
        self.connector.as_ref().context("the server has not run yet")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails harmlessly when it has ended before.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(database) = self.database.take()
            && let Err(error) = database::drop(&database)
        {
            eprintln!("{database} could not be dropped: {error:#}");
        }
    }
}

fn connector(facts: &Value) -> Result<Connector> {
    let url = facts.get("url").and_then(Value::as_str).context("the ready file has no url")?;
    wire::connector(url, facts.get("ca").and_then(Value::as_str).map(Path::new))
}

/// The program to measure.
fn program(named: Option<&Path>) -> Result<PathBuf> {
    let program = match named {
        Some(program) => program.to_owned(),
        None => std::env::current_exe()?.with_file_name("sealpost-server"),
    };
    if !program.exists() {
        bail!(
            "{} is missing; build it (cargo build --release -p sealpost-server -p sealpost-bench) or name it with \
             --server-binary",
            program.display()
        );
    }
    Ok(program)
}
