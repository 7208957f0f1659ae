use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use super::world::{World, plain_get};

#[tokio::test]
async fn the_first_start_makes_everything_private_and_says_how_to_reach_and_check_it() {
    let mut world = World::new();
    let server = world.start_local();
    assert_eq!(server.client().get("/healthz").await.0, 200);
    let ca = CertificateDer::from_pem_file(server.text("ca")).unwrap();
    assert_eq!(server.text("fingerprint"), hex::encode(Sha256::digest(&ca)));
    assert!(server.log().contains(&server.text("fingerprint")), "it is printed for people");
    assert!(server.ready["pid"].is_u64());
    let mut looked_at = 0;
    let mut folders = vec![world.data()];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 7, "database, lock, keys and certificates");
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let (mut ours, mut theirs) = (World::new(), World::new());
    let (our_server, their_server) = (ours.start_local(), theirs.start_local());
    our_server.client().tls().await.unwrap();
    our_server.client().trusting(their_server.text("ca").as_ref()).tls().await.unwrap_err();
}

#[tokio::test]
async fn the_certificate_is_reissued_from_the_same_authority_when_the_names_change() {
    let mut world = World::new();
    let first = world.start(&["--listen", "127.0.0.1:0"]);
    let (fingerprint, ca) = (first.text("fingerprint"), first.text("ca"));
    drop(first);
    let pem = fs::read(world.data().join("tls/server.pem")).unwrap();
    drop(world.start(&["--listen", "127.0.0.1:0"]));
    assert_eq!(fs::read(world.data().join("tls/server.pem")).unwrap(), pem, "nothing changed");
    let moved = world.start(&["--listen", "127.0.0.2:0"]);
    assert_ne!(fs::read(world.data().join("tls/server.pem")).unwrap(), pem);
    assert_eq!(moved.text("fingerprint"), fingerprint);
    moved.client().trusting(ca.as_ref()).tls().await.unwrap();
}

#[tokio::test]
async fn the_operators_certificate_is_served() {
    let mut issuer = World::new();
    let made = issuer.start_local();
    let (certificate, key) = (issuer.data().join("tls/server.pem"), issuer.data().join("tls/server.key"));
    let mut world = World::new();
    let flags =
        ["--listen", "127.0.0.1:0", "--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let mut server = world.start(&flags);
    assert!(server.ready["ca"].is_null() && server.ready["fingerprint"].is_null());
    assert!(!world.data().join("tls").exists());
    server.ready["ca"] = made.ready["ca"].clone();
    assert_eq!(server.client().get("/healthz").await.0, 200);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_reason() {
    let world = World::new();
    let missing = world.file("missing.pem");
    let missing = missing.to_str().unwrap();
    let said = world.refused(&["--listen", "127.0.0.1:0", "--tls-cert", missing, "--tls-key", missing]);
    assert!(said.contains("missing.pem"), "{said}");
    world.refused(&["--tls-cert", missing]);
}

#[test]
fn plain_http_is_refused_where_others_reach_it() {
    let world = World::new();
    let said = world.refused(&["--listen", "0.0.0.0:0", "--plain-http"]);
    assert!(said.contains("--plain-http-anywhere"), "{said}");
    world.refused(&["--listen", "127.0.0.1:0", "--plain-http-anywhere"]);
}

#[tokio::test]
async fn plain_http_is_served_on_loopback_and_elsewhere_when_told() {
    for flags in [
        ["--listen", "127.0.0.1:0", "--plain-http"].as_slice(),
        &["--listen", "0.0.0.0:0", "--plain-http", "--plain-http-anywhere"],
    ] {
        let mut world = World::new();
        let server = world.start(flags);
        let url = server.text("url");
        assert!(url.starts_with("http://") && server.ready["ca"].is_null());
        assert_eq!(plain_get(&url, "/healthz").await.0, 200);
    }
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let mut world = World::new();
    let _server = world.start_local();
    let ready = world.file("ready1.json");
    let output = world.serve(&["--listen", "127.0.0.1:0", "--ready-file", ready.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("another process uses the data folder"), "{said}");
    assert!(ready.exists(), "the first one still serves");
}

#[test]
fn looser_modes_are_refused_with_the_command_that_helps() {
    let mut world = World::new();
    drop(world.start_local());
    for (path, loose, tight) in [
        (world.data(), 0o755, 0o700),
        (world.data().join("sealpost.db"), 0o640, 0o600),
        (world.data().join("token_keys.json"), 0o604, 0o600),
        (world.data().join("retired_names.key"), 0o660, 0o600),
        (world.data().join("tls"), 0o750, 0o700),
        (world.data().join("tls/ca.key"), 0o644, 0o600),
        (world.data().join("tls/server.key"), 0o644, 0o600),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        let said = world.refused(&["--listen", "127.0.0.1:0"]);
        assert!(said.contains(&format!("chmod {tight:o} {}", path.display())), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(tight)).unwrap();
    }
    drop(world.start_local());
}

#[test]
fn a_taken_port_is_named() {
    let (mut one, two) = (World::new(), World::new());
    let server = one.start_local();
    let address = server.text("url").strip_prefix("https://").unwrap().to_owned();
    let said = two.refused(&["--listen", &address]);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_printing_starts_nothing() {
    let world = World::new();
    fs::write(
        world.file("c.toml"),
        "node = 'file'\nlisten = '127.0.0.1:1'\nworkers = 3\ntrust_proxy = ['10.0.0.0/8']\n",
    )
    .unwrap();
    let output = world
        .serve(&["--listen", "127.0.0.1:3", "--print-config", "--config"])
        .arg(world.file("c.toml"))
        .env("SEALPOST_SERVER_LISTEN", "127.0.0.1:2")
        .env("SEALPOST_SERVER_NODE", "environment")
        .env("SEALPOST_SERVER_TRUST_PROXY", "false")
        .env("SEALPOST_SERVER_PLAIN_HTTP", "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    let printed: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    assert_eq!(printed["listen"].as_str(), Some("127.0.0.1:3"));
    assert_eq!(printed["node"].as_str(), Some("environment"));
    assert_eq!(printed["workers"].as_integer(), Some(3));
    assert_eq!(
        printed["trust_proxy"].as_array().map(Vec::len),
        Some(0),
        "a switch can be turned off where it is stronger"
    );
    assert_eq!(printed["tls"]["mode"].as_str(), Some("plain"));
    assert!(printed["limits"]["send_pair"]["burst"].is_integer());
    assert!(!world.data().exists());
}

#[test]
fn a_configuration_with_an_unknown_name_is_refused_by_that_name() {
    let world = World::new();
    fs::write(world.file("c.toml"), "lissten = '127.0.0.1:1'\n").unwrap();
    let said = world.refused(&["--config", world.file("c.toml").to_str().unwrap()]);
    assert!(said.contains("lissten"), "{said}");
}

#[tokio::test]
async fn where_others_reach_it_registration_is_by_invite_and_the_first_start_prints_one() {
    let mut world = World::new();
    let server = world.start(&["--listen", "0.0.0.0:0"]);
    let log = server.log();
    let invite = log.lines().find(|line| line.contains("invite")).and_then(|line| line.rsplit(' ').next()).unwrap();
    let client = server.client();
    let refused = client.try_register("alice", "correct horse battery", None).await.err().unwrap();
    assert!(refused.1.contains("invite_invalid"), "{refused:?}");
    client.try_register("alice", "correct horse battery", Some(invite.to_owned())).await.ok().unwrap();
    let spent = client.try_register("bob", "correct horse battery", Some(invite.to_owned())).await.err().unwrap();
    assert!(spent.1.contains("invite_invalid"), "{spent:?}");
    drop(server);
    let again = world.start(&["--listen", "0.0.0.0:0"]);
    assert!(!again.log().contains("invite"), "only at the first start");
}

#[tokio::test]
async fn registration_is_open_by_default_only_on_a_loopback_listener_that_speaks_tls_itself() {
    for (flags, open) in [
        (&["--listen", "127.0.0.1:0"][..], true),
        (&["--listen", "127.0.0.1:0", "--plain-http"], false),
        (&["--listen", "127.0.0.1:0", "--plain-http", "--trust-proxy"], false),
        (&["--listen", "0.0.0.0:0"], false),
    ] {
        let mut world = World::new();
        let server = world.start(flags);
        let info = server.client().get("/v1/server").await.1;
        let policy = if open { "\"registration\":\"open\"" } else { "\"registration\":\"invite\"" };
        assert!(info.contains(policy), "{flags:?} {info}");
        assert_eq!(server.log().contains("The first one, good for 7 days"), !open, "{flags:?}");
    }
}

#[test]
fn migrate_tells_and_applies_the_schemas_version() {
    let world = World::new();
    let run = |flags: &[&str]| {
        let output = world.command().arg("migrate").args(flags).arg("--data").arg(world.data()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(run(&["--status"])["current"], 0);
    let planned = run(&["--dry-run"]);
    assert_eq!((planned["current"].as_u64(), planned["missing"][0].as_str()), (Some(0), Some("initial")));
    let applied = run(&[]);
    assert_eq!((&applied["current"], applied["missing"].as_array().map(Vec::len)), (&applied["newest"], Some(0)));
    assert_eq!(run(&["--status"]), applied);
}
