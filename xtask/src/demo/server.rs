//! The demo's server process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long the first start may take. The server makes keys and a database then, which takes seconds on a slow machine.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) fingerprint: String,
}

impl Server {
    /// Starts a server on any free port and waits until it serves.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let ready = folder.join("ready.json");
        let log = fs::File::create(folder.join("server.log"))?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("server"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let begin = Instant::now();
        let facts = loop {
            if let Some(facts) = read_ready(&ready) {
                break facts;
            }
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                bail!("the server ended at once ({status}):\n{log}");
            }
            if begin.elapsed() > START_PATIENCE {
                child.kill()?;
                bail!("the server did not come up within {} s", START_PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = |name: &str| facts.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(Self {
            child,
            url: text("url").context("the ready file has no url")?,
            ca: text("ca").context("the ready file has no ca")?.into(),
            fingerprint: text("fingerprint").context("the ready file has no fingerprint")?,
        })
    }

    /// Waits until the server ends, for example by Ctrl-C, which reaches it too.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self.child.wait()?;
        println!("\nThe server has ended ({status}).");
        Ok(())
    }

    /// Stops the server by SIGTERM, so that it finishes what it began.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !status.success() {
            self.child.kill()?;
        }
        let status = self.child.wait()?;
        println!("\nThe server has stopped ({status}).");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An orphan would keep the port. This fails harmlessly when the server has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_ready(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
