//! SecantusDB's server as a process of its own: it speaks MongoDB's protocol over WiredTiger, as a replica set of one member.
//! It is found in the folder that `SEALPOST_SECANTUSDB` names, or in `target/engines/secantusdb` of the workspace.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server's process, killed when dropped.
pub(crate) struct Database(Child);

impl Drop for Database {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
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

/// Starts the server on a folder; 0 is any free port. What it says first is its address.
pub(crate) fn run(storage: &Path, port: u16) -> (Database, String) {
    run_with(storage, port, &[])
}

/// The same with more flags.
pub(crate) fn run_with(storage: &Path, port: u16, flags: &[&str]) -> (Database, String) {
    let mut child = Command::new(folder().join("secantusdb.scripts/secantusd-rs"))
        .args(["--port", &port.to_string(), "--storage-path"])
        .arg(storage)
        // Without `--sync-on-commit` it loses journalled writes, without `--log-file-max` it takes 2 GB.
        .args(["--cache-size", "256M", "--log-file-max", "16MB", "--sync-on-commit", "--log-level", "WARNING"])
        .args(flags)
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
    (Database(child), address)
}
