//! What every measure under load needs: a server process on a core of its own, people with accounts, and streams.
//!
//! The generator runs on one thread on another core. What the server costs is read from the operating system, so that a generator
//! which is too slow shows as a lower rate and never as a cheaper message.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

pub(crate) mod clock;
pub(crate) mod cores;
mod database;
pub(crate) mod disk;
pub(crate) mod http;
pub(crate) mod payload;
pub(crate) mod people;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod socket;
mod wire;

use people::Person;
use server::Server;

/// Where the server and the generator run.
#[derive(Args, Clone, Debug)]
pub(crate) struct RigOptions {
    /// The server to measure [default: sealpost-server beside this program].
    #[arg(long, env = "SEALPOST_SERVER_BINARY", value_name = "FILE")]
    pub(crate) server_binary: Option<PathBuf>,
    /// The core that the server has.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) server_cpu: usize,
    /// The core that the generator has.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) client_cpu: usize,
    /// Let both run where the system puts them: to see that it works, not to publish.
    #[arg(long)]
    pub(crate) unpinned: bool,
    /// A folder on the disk to measure; a new one is made in it and removed at the end [default: the system's for temporary files].
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// A MongoDB to keep everything in, as `mongodb://HOST:PORT` without a user or options; databases are made in it and dropped at
    /// the end. It runs where it runs: what it costs is not in the server's figures.
    #[arg(long, env = "SEALPOST_BENCH_MONGODB", value_name = "URI")]
    pub(crate) mongodb: Option<String>,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Plain HTTP on the loopback address, as behind a proxy.
    #[value(name = "ws")]
    Plain,
    /// TLS by the server's own authority.
    #[value(name = "wss")]
    Tls,
}

impl Transport {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    /// The scheme of its streams.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "ws",
            Self::Tls => "wss",
        }
    }
}

/// People of a rig who are registered as everybody is.
const REGISTERED: usize = 4;

/// A running server and people who have accounts there.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
}

impl Rig {
    /// A new server with this many people, each registered over HTTP.
    pub(crate) async fn registered(options: &RigOptions, transport: Transport, people: usize) -> Result<Self> {
        let server = Server::start(options, transport)?;
        let people = people::register(&server, people).await?;
        Ok(Self { server, people })
    }

    /// A new server with this many people. The first few are registered over HTTP, and the others put into the store while the
    /// server does not run: a registration costs a password hash, and a measure needs thousands of people.
    pub(crate) async fn peopled(options: &RigOptions, transport: Transport, people: usize) -> Result<Self> {
        let mut rig = Self::registered(options, transport, people.min(REGISTERED)).await?;
        rig.server.stop()?;
        let others = people.saturating_sub(rig.people.len());
        rig.people.extend(people::fill(&rig.server, others).await?);
        rig.server.start_again()?;
        Ok(rig)
    }

    /// Gives the first `people` people an access token that lasts for a measure.
    pub(crate) async fn refresh_tokens(&mut self, people: usize) -> Result<()> {
        let people = self.people.get_mut(..people).context("the rig has too few people")?;
        people::refresh(&self.server, people).await
    }
}

/// The single thread that all of the generator runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
