use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::pki_types::CertificateDer;

use super::super::world::World;
use super::{PASSWORD, Scene, admin};

fn file(world: &World, text: &str) -> String {
    let path = world.file("config.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn limits_and_log_filter_are_read_again_and_a_bad_file_changes_nothing() {
    let mut world = World::new();
    let config = file(&world, "");
    let server = world.start(&["--listen", "127.0.0.1:0", "--config", &config]);
    let scene = Scene { world, server };
    let client = scene.client();
    client.register("alice", PASSWORD).await;
    assert!(scene.one(&["reload"])["changed"].as_array().unwrap().is_empty());

    file(&scene.world, "[limits.register_address]\nburst = 1\n");
    assert_eq!(scene.refused(&["reload"]), (1, "invalid".to_owned()));
    file(
        &scene.world,
        "[log]\nfilter = 'no=such=filter'\n[limits.register_address]\nburst = 1\ntokens = 1\nper_seconds = 3600\n",
    );
    assert_eq!(scene.refused(&["reload"]), (1, "invalid".to_owned()));
    client.register("bob", PASSWORD).await;

    file(
        &scene.world,
        "node = 'other'\n[log]\nfilter = 'debug'\n[limits.register_address]\nburst = 1\ntokens = 1\nper_seconds = 3600\n",
    );
    let reloaded = scene.one(&["reload"]);
    let changed: Vec<_> = reloaded["changed"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(changed.iter().any(|line| line.starts_with("limits.register_address: 20 at once")), "{changed:?}");
    assert!(changed.iter().any(|line| line.starts_with("log.filter:") && line.ends_with("debug")), "{changed:?}");
    assert_eq!(reloaded["needs_restart"], serde_json::json!(["node"]));
    client.register("carol", PASSWORD).await;
    let refused = client.try_register("dave", PASSWORD, None).await.err().unwrap();
    assert_eq!(refused.0, 429, "{refused:?}");
    assert!(scene.server.log().contains("\"level\":\"DEBUG\""));
}

#[tokio::test]
async fn a_renewed_certificate_is_served_after_a_hangup_and_a_broken_one_never() {
    let mut world = World::new();
    drop(world.start_local());
    let from = |name: &str| world.data().join("tls").join(name);
    let (cert, key, ca) = (world.file("cert.pem"), world.file("key.pem"), world.file("ca.pem"));
    fs::copy(from("server.pem"), &cert).unwrap();
    fs::copy(from("server.key"), &key).unwrap();
    fs::copy(from("ca.pem"), &ca).unwrap();
    let mut other = World::new();
    drop(other.start_local());
    let flags = ["--listen", "127.0.0.1:0", "--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = world.start(&flags);
    let served = async |ca: &std::path::Path| -> Option<CertificateDer<'static>> {
        let stream = server.client().trusting(ca).tls().await.ok()?;
        Some(stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
    };
    let first = served(&ca).await.unwrap();

    fs::write(&cert, "no certificate").unwrap();
    assert_eq!(admin(&world, &["reload"]).status.code(), Some(1));
    assert_eq!(served(&ca).await.unwrap(), first);

    let theirs = |name: &str| other.data().join("tls").join(name);
    fs::copy(theirs("server.pem"), &cert).unwrap();
    fs::copy(theirs("server.key"), &key).unwrap();
    server.signal(Signal::HUP);
    let begin = Instant::now();
    while served(&theirs("ca.pem")).await.is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(served(&ca).await.is_none(), "new connections get the new one alone");
}
