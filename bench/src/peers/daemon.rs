//! The peers, and how each is started as a child of the bench in a folder of its own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wire::Protocol;
use crate::rig::{RigOptions, cores};

/// How long a peer can take to start listening or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// A server to compare with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its name, here and on the command line.
    pub(crate) name: &'static str,
    /// The Debian package that it comes from.
    pub(crate) package: &'static str,
    /// Its protocol.
    pub(crate) protocol: Protocol,
    /// How durable an accepted message is.
    pub(crate) durability: &'static str,
    /// The divisor of the number of messages, for a peer whose cost grows with the number of waiting messages.
    pub(crate) fewer: usize,
    program: &'static str,
    config_name: &'static str,
    config: &'static str,
}

/// All peers.
pub(crate) const PEERS: [Peer; 4] = [
    Peer {
        name: "ejabberd",
        package: "ejabberd",
        protocol: Protocol::Xmpp,
        durability: "no: Mnesia on disk, not synced",
        fewer: 1,
        program: "erl",
        config_name: "ejabberd.yml",
        config: include_str!("../../config/peers/ejabberd.yml"),
    },
    Peer {
        name: "prosody",
        package: "prosody",
        protocol: Protocol::Xmpp,
        durability: "no: files, not synced",
        fewer: 1,
        program: "prosody",
        config_name: "prosody.cfg.lua",
        config: include_str!("../../config/peers/prosody.cfg.lua"),
    },
    Peer {
        name: "mosquitto",
        package: "mosquitto",
        protocol: Protocol::Mqtt,
        durability: "no: memory",
        fewer: 1,
        program: "mosquitto",
        config_name: "mosquitto.conf",
        config: include_str!("../../config/peers/mosquitto.conf"),
    },
    Peer {
        name: "mosquitto-synced",
        package: "mosquitto",
        protocol: Protocol::Mqtt,
        durability: "nearly: synced right after the answer",
        fewer: 20,
        program: "mosquitto",
        config_name: "mosquitto-synced.conf",
        config: include_str!("../../config/peers/mosquitto-synced.conf"),
    },
];

impl Peer {
    /// The version of the installed package.
    ///
    /// # Errors
    ///
    /// Fails if it isn't installed, and says how to install it.
    pub(crate) fn version(&self) -> Result<String> {
        let package = self.package;
        let asked = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Version}", package]).output();
        let answer = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        match answer.split_once(' ') {
            Some(("installed", version)) => Ok(version.to_owned()),
            _ => bail!(
                "{} isn't installed. On Debian: apt-get install {package}, and stop the service that this starts; or \
                 leave it out with --only",
                self.name
            ),
        }
    }
}

/// A peer that runs. It ends when this is dropped.
pub(crate) struct Daemon {
    peer: &'static Peer,
    options: RigOptions,
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Daemon {
    /// Starts `peer` on a core of its own, in an empty folder, and waits until it listens.
    pub(crate) fn start(options: &RigOptions, peer: &'static Peer) -> Result<Self> {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("bench-peer-");
        let folder = match &options.folder {
            Some(place) => folder.tempdir_in(place),
            None => folder.tempdir(),
        }
        .context("making a folder")?;
        let (child, port) = launch(options, peer, folder.path())?;
        Ok(Self { peer, options: options.clone(), folder, child, port })
    }

    /// Stops it, and starts it again on what it has stored.
    pub(crate) fn restart(&mut self) -> Result<()> {
        end(&mut self.child);
        (self.child, self.port) = launch(&self.options, self.peer, self.folder.path())?;
        Ok(())
    }

    /// Returns the peer.
    pub(crate) fn peer(&self) -> &'static Peer {
        self.peer
    }

    /// Returns its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks the child to stop, and kills it if it does not.
fn end(child: &mut Child) {
    // Fails harmlessly when it has ended before.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    let asked = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if asked.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(GLANCE);
    }
}

fn launch(options: &RigOptions, peer: &Peer, folder: &Path) -> Result<(Child, u16)> {
    let port = free_port()?;
    let shown = folder.to_str().context("the folder for temporary files has a name that isn't UTF-8")?;
    let config = folder.join(peer.config_name);
    let text = peer.config.replace("@PORT@", &port.to_string()).replace("@FOLDER@", shown);
    std::fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
    let said = folder.join("said.txt");
    let log = File::create(&said).with_context(|| format!("writing {}", said.display()))?;
    let mut command = command(peer, folder, &config, shown);
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = cores::on_server_core(options, || command.spawn());
    let mut child = child.with_context(|| format!("starting {}", peer.name))?;
    let started = Instant::now();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while TcpStream::connect_timeout(&address, PATIENCE).is_err() {
        let ended = child.try_wait()?;
        if ended.is_some() || started.elapsed() > PATIENCE {
            end(&mut child);
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            let how = ended.map_or_else(|| "doesn't listen".to_owned(), |status| format!("ended with {status}"));
            bail!("{} {how}; it said:\n{said}", peer.name);
        }
        std::thread::sleep(GLANCE);
    }
    Ok((child, port))
}

/// The commands hand over to the server in the same process, so that the child is the server.
fn command(peer: &Peer, folder: &Path, config: &Path, shown: &str) -> Command {
    // A daemon's programs aren't on everybody's path.
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("env");
    command.env("PATH", path).arg(peer.program);
    match peer.name {
        "ejabberd" => {
            // As ejabberdctl starts it, but without a node name: that would start a daemon of Erlang's that stays. Waiting
            // threads sleep instead of spinning, so that it is charged for work alone.
            command
                .args(["+K", "true", "+P", "250000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"])
                .args(["-noinput", "-mnesia", "dir"])
                .arg(format!("\"{shown}\""))
                .args(["-s", "ejabberd"])
                .env("ERL_LIBS", format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH))
                .env("ERL_CRASH_DUMP_BYTES", "0")
                .env("ERL_MAX_PORTS", "65536")
                .env("EJABBERD_CONFIG_PATH", config)
                .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"));
        }
        "prosody" => {
            command.arg("-F").arg("--config").arg(config);
        }
        _ => {
            command.arg("-c").arg(config);
        }
    }
    command
}

/// Returns a port that was free a moment ago, because the peers cannot choose one and report it.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    let port = listener.local_addr()?.port();
    ensure!(port != 0, "the system gave no port");
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::PEERS;

    #[test]
    fn every_configuration_says_whether_it_is_durable_and_takes_its_port() {
        for peer in PEERS {
            let durable = peer.config.contains("NOT DURABLE") || peer.config.contains("AS DURABLE AS IT GETS");
            assert!(durable, "{}", peer.config_name);
            assert_eq!(peer.config.matches("@PORT@").count(), 1, "{}", peer.config_name);
        }
    }
}
