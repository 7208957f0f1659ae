//! Debian's nginx in front of nodes, with the configuration that ships.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::ports::{free_port, is_served};

/// The configuration that ships.
pub const TEMPLATE: &str = include_str!("../../docker/nginx/nginx.conf.template");
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a start is tried on another port, when something else has taken the first.
const PORTS: usize = 5;

/// An nginx, running or not. It keeps its port.
pub struct Nginx {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Nginx {
    /// Writes a configuration. Nothing runs yet.
    ///
    /// `tls` holds `server.pem` and `server.key`. `nodes` are lines of an `upstream`: `server HOST:PORT;`. `change` alters the
    /// configuration, to show what it is good for; most leave it alone.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub fn new(tls: &Path, nodes: &str, change: impl Fn(String) -> String) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // nginx's workers are another user when it is started by root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let port = free_port()?;
        let text = TEMPLATE
            .replace("${SEALPOST_LISTEN}", &format!("127.0.0.1:{port}"))
            .replace("${SEALPOST_CERTIFICATE}", &tls.join("server.pem").display().to_string())
            .replace("${SEALPOST_CERTIFICATE_KEY}", &tls.join("server.key").display().to_string())
            .replace("${SEALPOST_NODES}", nodes)
            .replace("${SEALPOST_NGINX_RUN}", &folder.path().display().to_string());
        ensure!(!text.contains("${SEALPOST"), "a name of the template is not replaced");
        fs::write(folder.path().join("nginx.conf"), change(text))?;
        Ok(Self { folder, port, child: None })
    }

    /// Starts one on a port that nothing else takes meanwhile.
    ///
    /// # Errors
    /// If nginx is not installed, or does not come up.
    pub fn running(tls: &Path, nodes: &str, change: impl Fn(String) -> String) -> Result<Self> {
        for _ in 0..PORTS {
            let mut nginx = Self::new(tls, nodes, &change)?;
            match nginx.start() {
                Ok(()) => return Ok(nginx),
                Err(_) if nginx.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no port stays free")
    }

    /// Starts it as it ships: a process that has workers.
    ///
    /// # Errors
    /// If nginx is not installed, or does not come up.
    pub fn start(&mut self) -> Result<()> {
        self.start_with("daemon off;")
    }

    /// Starts it as one process, so that a kill leaves no workers behind.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_alone(&mut self) -> Result<()> {
        self.start_with("daemon off; master_process off;")
    }

    fn start_with(&mut self, directives: &str) -> Result<()> {
        let log = fs::File::create(self.folder.path().join("log"))?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(self.folder.path())
            .arg("-c")
            .arg(self.folder.path().join("nginx.conf"))
            .args(["-e", "stderr", "-g", directives])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("nginx is missing: apt-get install nginx-light")?;
        self.stop();
        let log = self.folder.path().join("log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let child = self.child.insert(child);
        let begin = Instant::now();
        loop {
            // Asked first: what listens may be something else, whose port nginx then does not get.
            let ended = child.try_wait()?.is_some();
            ensure!(!ended, "nginx does not start:\n{}", said());
            if is_served(self.port) {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "nginx does not come up:\n{}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it, and waits for its end.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Killed, it would leave its workers behind. Fails when it has ended before.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }

    /// Kills it, with all that it has under way.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails when it has ended before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns what it logged, its errors too.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}
