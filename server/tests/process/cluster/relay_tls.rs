//! A relay that is reached over TLS, and knows its nodes by their certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::super::world::{Running, World};
use sealpost_harness::database::Database;
use sealpost_harness::relay::Nats;

const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, and what it issues: PEM files.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

/// Waits until the node says this of its relay.
async fn relay_is(node: &Running, state: u64) {
    let begin = Instant::now();
    while node.metric("sealpost_relay_connected").await != state {
        assert!(begin.elapsed() < PATIENCE, "the relay is not {state}:\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_believed_by_its_authority_and_believes_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::start(&folder.path().join("database"), 0).unwrap();
    let listens = database.address().to_owned();
    let (ours, other) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "other"));
    ours.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    ours.issue("node", ExtendedKeyUsagePurpose::ClientAuth);
    other.issue("node", ExtendedKeyUsagePurpose::ClientAuth);
    let mut nats = Nats::new().unwrap();
    nats.start_with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        ours.path("server.pem"),
        ours.path("server.key"),
        ours.path("ca.pem")
    ))
    .unwrap();
    let store = format!("mongodb://{listens}/sealpost");
    let relay = nats.bare_address("tls");
    let flags = |authority: &Authority, node: &Authority| {
        let flags = [
            ["--listen", "127.0.0.1:0"],
            ["--store", &store],
            ["--relay", &relay],
            ["--relay-ca", &authority.path("ca.pem")],
            ["--relay-cert", &node.path("node.pem")],
            ["--relay-key", &node.path("node.key")],
        ];
        flags.concat().iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>()
    };
    let mut world = World::new();
    let mut start = |flags: &[String]| world.start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let node = start(&flags(&ours, &ours));
    relay_is(&node, 1).await;
    drop(node);
    for (authority, identity) in [(&other, &ours), (&ours, &other)] {
        let node = start(&flags(authority, identity));
        let begin = Instant::now();
        while !node.log().contains("the relay cannot be reached") {
            assert!(begin.elapsed() < PATIENCE, "{}", node.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(node.metric("sealpost_relay_connected").await, 0);
    }
    let mut missing = flags(&ours, &ours);
    missing[7] = "/nowhere/ca.pem".to_owned();
    let refused = world.refused(&missing.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(refused.contains("/nowhere/ca.pem holds no certificate"), "{refused}");
}

#[test]
fn what_a_single_node_has_no_use_for_is_refused_with_its_reason() {
    let world = World::new();
    for (flags, reason) in [
        (&["--relay", "nats://u:hunter2@127.0.0.1:4222"][..], "a relay connects nodes that share a MongoDB"),
        (&["--secrets", "/tmp/nowhere"], "a secrets folder is for nodes that share a MongoDB"),
        (&["--relay-key", "/nowhere/key.pem"], "both a certificate and its key"),
        (&["--relay-ca", "/nowhere/ca.pem"], "name it with --relay"),
        (&["--relay", "nuts://u:hunter2@127.0.0.1"], "nats://HOST:PORT"),
    ] {
        let refused = world.refused(&[&["--listen", "127.0.0.1:0"], flags].concat());
        assert!(refused.contains(reason), "{refused}");
        assert!(!refused.contains("hunter2") || flags[1].starts_with("nuts"), "{refused}");
    }
}
