//! A MongoDB for tests: SecantusDB's server as a process of its own, or a replica set that the environment names.
//!
//! SecantusDB speaks MongoDB's protocol over WiredTiger, as a replica set of one member. It is found in the folder that
//! `SEALPOST_SECANTUSDB` names, or in `target/engines/secantusdb` of the workspace. `SEALPOST_TEST_MONGODB_URI` points the
//! same tests at a real replica set; the tests make databases of their own there and drop them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// A running server. It ends with the last test that holds it.
pub(crate) struct Engine {
    process: Option<(Child, tempfile::TempDir)>,
    /// With `DATABASE` where a database's name belongs.
    address: String,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.process {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn folder() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/engines/secantusdb");
    let folder = std::env::var_os("SEALPOST_SECANTUSDB").map_or(installed, PathBuf::from);
    assert!(
        folder.join("secantusdb.scripts/secantusd-rs").exists(),
        "{} is no SecantusDB; install it with `cargo xtask engines`, name its folder in SEALPOST_SECANTUSDB, or a \
         MongoDB in SEALPOST_TEST_MONGODB_URI",
        folder.display()
    );
    folder
}

impl Engine {
    /// The one of this process, started when nobody has it.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let engine = Arc::new(Self::start());
            *shared = Arc::downgrade(&engine);
            engine
        })
    }

    fn start() -> Self {
        if let Ok(address) = std::env::var("SEALPOST_TEST_MONGODB_URI") {
            return Self { process: None, address: with_place(&address) };
        }
        let storage = tempfile::tempdir().unwrap();
        let (child, address) = Self::run(storage.path(), 0);
        Self { process: Some((child, storage)), address: format!("mongodb://{address}/DATABASE") }
    }

    /// Starts the server on a folder; 0 is any free port. What it says first is its address.
    pub(crate) fn run(storage: &Path, port: u16) -> (Child, String) {
        let mut child = Command::new(folder().join("secantusdb.scripts/secantusd-rs"))
            .args(["--port", &port.to_string(), "--storage-path"])
            .arg(storage)
            // Without `--sync-on-commit` it loses journalled writes, without `--log-file-max` it takes 2 GB.
            .args(["--cache-size", "256M", "--log-file-max", "16MB", "--sync-on-commit", "--log-level", "WARNING"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("SecantusDB ended before it listened").unwrap();
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || for _line in lines {});
        (child, address)
    }

    /// The connection string of a database that nobody else has.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("sealpost_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.address.replace("DATABASE", &name)
    }
}

/// The address with a place for the database's name.
fn with_place(address: &str) -> String {
    let hosts = address.strip_prefix("mongodb://").expect("SEALPOST_TEST_MONGODB_URI begins with mongodb://");
    let (before, options) = hosts.split_once('?').map_or((hosts, ""), |(before, options)| (before, options));
    let (hosts, _) = before.split_once('/').unwrap_or((before, ""));
    format!("mongodb://{hosts}/DATABASE?{options}")
}
