//! The processes of a cluster.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sealpost_harness::database::Database;
use sealpost_harness::ports::free_port;
use sealpost_harness::proxy::Nginx;
use sealpost_harness::relay::Nats;

use super::super::world::{Client, Person, Running, World};

const PATIENCE: Duration = Duration::from_secs(60);
/// Everybody's.
pub(super) const PASSWORD: &str = "correct horse battery";

/// A node, running or not. It keeps its port.
pub(super) struct Node {
    pub(super) world: World,
    port: u16,
    flags: Vec<String>,
    pub(super) running: Option<Running>,
}

impl Node {
    pub(super) fn start(&mut self) {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        self.running = Some(self.world.start(&flags));
    }

    pub(super) fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Tells it to stop and waits for its end.
    pub(super) fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        running.signal(Signal::TERM);
        assert!(running.ended().success(), "{}", running.log());
    }

    pub(super) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// What it is started with, but for its secrets.
    pub(super) fn flags_without_secrets(&self) -> Vec<&str> {
        let at = self.flags.iter().position(|flag| flag == "--secrets").unwrap();
        let others = self.flags.iter().enumerate().filter(|(place, _)| *place != at && *place != at + 1);
        others.map(|(_, flag)| flag.as_str()).collect()
    }

    /// A client of this node, past nginx.
    pub(super) fn client(&self) -> Client {
        self.running().client()
    }
}

/// What a cluster has beside three nodes and a database.
#[derive(Clone, Copy, Default)]
pub(super) struct With {
    /// NATS runs from the beginning; nodes are told of it in any case.
    pub(super) nats: bool,
    pub(super) nginx: bool,
}

/// A cluster.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) nats: Nats,
    nginx: Nginx,
    issuer: World,
    database: Option<Database>,
    database_port: u16,
    folder: tempfile::TempDir,
}

impl Cluster {
    pub(super) fn start(with: With) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::start(&folder.path().join("database"), 0).unwrap();
        let listens = database.address().to_owned();
        let mut nats = Nats::new().unwrap();
        if with.nats {
            nats.start().unwrap();
        }
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let store = file("store", format!("mongodb://{listens}/sealpost?serverSelectionTimeoutMS=1000\n"));
        let relay = file("relay", nats.address());
        let config = file("config.toml", include_str!("../../../../bench/config/load.toml").to_owned());
        let secrets = folder.path().join("secrets");
        let mut nodes: Vec<Node> = (1..=3)
            .map(|number| {
                let port = free_port().unwrap();
                let flags = [
                    "--listen",
                    &format!("127.0.0.1:{port}"),
                    "--plain-http",
                    "--trust-proxy=127.0.0.1",
                    "--store-file",
                    &store,
                    "--relay-file",
                    &relay,
                    "--config",
                    &config,
                    "--secrets",
                    secrets.to_str().unwrap(),
                    "--node",
                    &format!("node-{number}"),
                    "--workers",
                    "1",
                ];
                Node { world: World::new(), port, flags: flags.map(str::to_owned).to_vec(), running: None }
            })
            .collect();
        nodes.iter_mut().for_each(Node::start);
        // The built-in authority of another server issues the proxy's certificate.
        let mut issuer = World::new();
        if with.nginx {
            drop(issuer.start_local());
        }
        let database_port = listens.rsplit_once(':').unwrap().1.parse().unwrap();
        let servers: Vec<_> =
            nodes.iter().map(|node| format!("server 127.0.0.1:{} fail_timeout=1s;", node.port)).collect();
        let mut nginx = Nginx::new(&issuer.data().join("tls"), &servers.join(" "), |text| text).unwrap();
        if with.nginx {
            nginx.start_alone().unwrap();
        }
        Self { nodes, nats, nginx, issuer, database: Some(database), database_port, folder }
    }

    /// A client of nginx.
    pub(super) fn client(&self) -> Client {
        Client::at("127.0.0.1", self.nginx.port(), self.issuer.data().join("tls/ca.pem"))
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    pub(super) fn kill_database(&mut self) {
        self.database = None;
    }

    pub(super) fn start_database(&mut self) {
        self.database = Some(Database::start(&self.folder.path().join("database"), self.database_port).unwrap());
    }

    pub(super) fn kill_nginx(&mut self) {
        self.nginx.kill();
    }

    pub(super) fn start_nginx(&mut self) {
        self.nginx.start_alone().unwrap();
    }

    /// Registers this number of people, each on another node than the one before.
    pub(super) async fn people(&self, count: usize) -> Vec<Person> {
        let mut people = Vec::new();
        for (number, node) in (0..count).zip(self.nodes.iter().cycle()) {
            people.push(node.client().register(&format!("person{number}"), PASSWORD).await);
        }
        people
    }

    /// Waits until every node says this of its relay.
    pub(super) async fn relay_is(&self, state: u64) {
        for node in &self.nodes {
            let begin = Instant::now();
            while node.running().metric("sealpost_relay_connected").await != state {
                assert!(begin.elapsed() < PATIENCE, "the relay is not {state}:\n{}", node.running().log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
