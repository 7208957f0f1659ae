//! The server's process, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sealpost_harness::server::Server as Process;
use sealpost_transport::Connector;

use super::{RigOptions, Transport, cores, database};

/// The settings: checks on, their numbers raised.
const CONFIG: &str = include_str!("../../config/load.toml");

/// A server that runs, or did. Dropping it ends the process and removes the folder.
pub(crate) struct Server {
    options: RigOptions,
    transport: Transport,
    folder: tempfile::TempDir,
    /// Where it keeps everything, if not in its data folder.
    database: Option<String>,
    process: Option<Process>,
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
        let mut server = Self { options: options.clone(), transport, folder, database, process: None, connector: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it again on the same data.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let (ready, log) = (self.folder.path().join("ready.json"), self.folder.path().join("server.log"));
        let program = program(self.options.server_binary.as_deref())?;
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.path().join("server.toml"))
            .env_clear();
        if let Some(database) = &self.database {
            command.args(["--store", database]);
        }
        if self.transport == Transport::Plain {
            command.arg("--plain-http");
        }
        let spawn = |command: &mut Command| cores::on_server_core(&self.options, || command.spawn());
        let process = Process::start_by(&mut command, &ready, &log, spawn)?;
        self.connector = Some(process.connector()?.without_resumption());
        self.process = Some(process);
        Ok(())
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.stop()?;
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the server does not run")?.pid())
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
        // It writes into the database until it has ended.
        drop(self.process.take());
        if let Some(database) = self.database.take()
            && let Err(error) = database::drop(&database)
        {
            eprintln!("{database} could not be dropped: {error:#}");
        }
    }
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
