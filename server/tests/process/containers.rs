//! What `docker/` holds, as far as it can be looked at without a container engine: compose files by docker-compose, nginx's and
//! NATS' configurations and the alert rules by the programs themselves, and the nodes' settings by the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::world::World;
use sealpost_harness::proxy::TEMPLATE;

fn docker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker")
}

fn output(command: &mut Command, package: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("{name} does not start ({error}): apt-get install {package}"))
}

/// Runs it, or fails with what it said.
fn succeeds(command: &mut Command, package: &str) -> String {
    let output = output(command, package);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{command:?}:\n{}\n{}", said[0], said[1]);
    said[0].clone()
}

/// A compose file as docker-compose understands it.
fn compose(name: &str) -> Value {
    // The version that Debian has is older than the name of a project, and knows everything else.
    let text = fs::read_to_string(docker().join(name)).unwrap();
    let nameless: String =
        text.lines().filter(|line| !line.starts_with("name: ")).map(|line| format!("{line}\n")).collect();
    assert_ne!(nameless, text, "{name} names its project, so that the two do not mix");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, nameless).unwrap();
    let mut command = Command::new("docker-compose");
    command.arg("--project-directory").arg(docker()).arg("--file").arg(&file).arg("config");
    let yaml = succeeds(command.env("SEALPOST_HOST", "chat.example"), "docker-compose");
    let resolved = folder.path().join("resolved");
    fs::write(&resolved, yaml).unwrap();
    // docker-compose brings this reader of YAML.
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let json = succeeds(Command::new("/usr/bin/python3").args(["-c", read]).arg(&resolved), "python3-yaml");
    serde_json::from_str(&json).unwrap()
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().unwrap().iter()
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().map(|one| one.as_str().unwrap()).collect()).unwrap_or_default()
}

#[test]
fn every_service_restarts_and_has_a_version() {
    for name in ["compose.yaml", "compose.cluster.yaml"] {
        let compose = compose(name);
        for (service, about) in services(&compose) {
            let restart = if service == "mongodb-init" { "on-failure" } else { "unless-stopped" };
            assert_eq!(about["restart"], restart, "{name} {service}");
            let image = about["image"].as_str().unwrap();
            let (_, version) =
                image.rsplit_once(':').unwrap_or_else(|| panic!("{name} {service}: {image} has no version"));
            let parts =
                version.trim_start_matches('v').split(['.', '-']).take_while(|part| part.parse::<u32>().is_ok());
            assert_eq!(parts.count(), 3, "{name} {service}: {image} may be another one tomorrow");
            assert!(
                list(&about["security_opt"]).iter().any(|option| option.starts_with("no-new-privileges")),
                "{service}"
            );
        }
    }
    assert_eq!(services(&compose("compose.cluster.yaml")).filter(|(name, _)| name.starts_with("node")).count(), 3);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(compose("compose.yaml")["services"]["sealpost"]["image"], format!("sealpost:{version}"));
}

#[test]
fn the_image_is_pinned_and_does_not_run_as_root() {
    let text = fs::read_to_string(docker().join("Dockerfile")).unwrap();
    let images: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(images.len(), 2);
    assert!(
        images.iter().all(|image| image.split(':').nth(1).unwrap().starts_with(|first: char| first.is_ascii_digit()))
    );
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    assert!(images[0].starts_with(&format!("rust:{minimum}.")), "{} is not what the crates need", images[0]);
    let last = text.lines().filter_map(|line| line.strip_prefix("USER ")).next_back().unwrap();
    assert!(last.split(':').next().unwrap().parse::<u32>().unwrap() > 0, "{last}");
    assert!(text.contains("HEALTHCHECK"));
}

#[test]
fn nothing_secret_has_a_default_and_one_command_makes_it_all() {
    let (compose, folder) = (compose("compose.cluster.yaml"), tempfile::tempdir().unwrap());
    let secrets = folder.path().join("secrets");
    let make = |arguments: &[&str]| {
        let mut command = Command::new(docker().join("make-secrets"));
        output(command.args(arguments).env("SEALPOST_SECRETS", &secrets), "coreutils")
    };
    assert_eq!(make(&[]).status.code(), Some(2), "it does not guess a certificate");
    assert!(make(&["--self-signed", "chat.example"]).status.success());
    let read = || -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(&secrets)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let first = read();
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
    let wanted = compose["secrets"].as_object().unwrap();
    // NATS' password stands in what NATS reads and in what the nodes read, and is given to nobody by itself.
    let used = first.iter().filter(|(name, _)| name != "nats_password");
    assert_eq!(used.clone().map(|(name, _)| name).collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, contents) in used {
        assert!(contents.len() >= 64, "{name} is too short to be drawn at random");
        assert_eq!(wanted[name]["file"], docker().join("secrets").join(name).canonical());
    }
    assert!(make(&["--self-signed", "chat.example"]).status.success());
    assert_eq!(read(), first, "what is there stays");
    // A new certificate is taken, the rest stays.
    let (certificate, key) = (folder.path().join("new.pem"), folder.path().join("new.key"));
    fs::write(&certificate, "new certificate").unwrap();
    fs::write(&key, "new key").unwrap();
    assert!(make(&[certificate.to_str().unwrap(), key.to_str().unwrap()]).status.success());
    let changed: Vec<_> =
        read().into_iter().zip(&first).filter(|(now, then)| now != *then).map(|(now, _)| now.0).collect();
    assert_eq!(changed, ["tls_certificate", "tls_key"]);
    // No other way in which a secret reaches a container.
    let text = serde_json::to_string(&compose["services"]).unwrap();
    for (name, contents) in &first {
        let contents = String::from_utf8_lossy(contents);
        assert!(!text.contains(contents.trim()), "{name}");
    }
    for (service, about) in services(&compose) {
        for (name, value) in about["environment"].as_object().into_iter().flatten() {
            let is_path = value.as_str().is_some_and(|value| value.starts_with("/run/secrets/"));
            let is_secret = ["PASSWORD", "SECRET", "TOKEN", "STORE", "RELAY"].iter().any(|word| name.contains(word));
            assert!(!is_secret || is_path || name == "SEALPOST_SERVER_SECRETS", "{service} {name}");
        }
    }
}

trait Canonical {
    fn canonical(&self) -> String;
}

impl Canonical for PathBuf {
    /// Without what leads up again; the file need not be there.
    fn canonical(&self) -> String {
        let (parent, name) = (self.parent().unwrap(), self.file_name().unwrap());
        let (grandparent, folder) = (parent.parent().unwrap(), parent.file_name().unwrap());
        grandparent.canonicalize().unwrap().join(folder).join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn the_nodes_settings_are_understood_and_trust_the_proxy_alone() {
    let (compose, world) = (compose("compose.cluster.yaml"), World::new());
    let service = |name: &str| &compose["services"][name];
    let proxy = service("nginx")["networks"]["front"]["ipv4_address"].as_str().unwrap();
    let nodes = service("nginx")["environment"]["SEALPOST_NODES"].as_str().unwrap();
    let targets = fs::read_to_string(docker().join("prometheus/prometheus.yml")).unwrap();
    let secrets = tempfile::tempdir().unwrap();
    for name in ["node1", "node2", "node3"] {
        let node = service(name);
        assert!(node["ports"].is_null(), "clients reach {name} through nginx only");
        let mut command = world.command();
        command.args(list(&node["command"])).arg("--print-config").env("SEALPOST_SERVER_DATA", secrets.path());
        let environment = node["environment"].as_object().unwrap();
        let known = world.command().args(["serve", "--help"]).output().unwrap().stdout;
        for (variable, value) in environment {
            let known = String::from_utf8_lossy(&known).contains(&format!("[env: {variable}"));
            assert!(known, "{name}: the server knows no {variable}");
            command.env(variable, value.as_str().unwrap());
        }
        let config: toml::Table = succeeds(&mut command, "").parse().unwrap();
        let text = |key: &str| config[key].as_str().unwrap().to_owned();
        assert_eq!(text("node"), name);
        assert_eq!(text("registration"), "invite");
        assert_eq!(config["tls"]["mode"].as_str(), Some("plain"));
        assert_eq!(config["trust_proxy"].as_array().unwrap()[..], [toml::Value::from(format!("{proxy}/32"))]);
        assert_eq!(config["store"]["uri_file"].as_str(), Some("/run/secrets/store"));
        assert_eq!(config["relay"]["nats_file"].as_str(), Some("/run/secrets/relay"));
        let keys = config["secrets"]["folder"].as_str().unwrap();
        let volume = format!("keys:{keys}:rw");
        assert!(list(&node["volumes"]).contains(&volume.as_str()), "{name} does not share {keys}: {}", node["volumes"]);
        let (front, watch) = (&node["networks"]["front"], &node["networks"]["watch"]);
        let port = text("listen").rsplit_once(':').unwrap().1.to_owned();
        assert!(nodes.contains(&format!("server {}:{port};", front["ipv4_address"].as_str().unwrap())), "{nodes}");
        assert_eq!(text("private_listen").split(':').next(), watch["ipv4_address"].as_str());
        assert!(targets.contains(&format!("\"{}\"", text("private_listen"))), "{name} is not scraped");
        assert!(list(&node["healthcheck"]["test"]).contains(&format!("http://127.0.0.1:{port}").as_str()));
    }
    for network in ["front", "watch", "store"] {
        assert_eq!(compose["networks"][network]["internal"], true, "{network}");
    }
}

#[test]
fn nginx_takes_the_clusters_configuration() {
    let compose = compose("compose.cluster.yaml");
    let environment = compose["services"]["nginx"]["environment"].as_object().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut make = Command::new(docker().join("make-secrets"));
    make.args(["--self-signed", "chat.example"]).env("SEALPOST_SECRETS", folder.path().join("secrets"));
    succeeds(&mut make, "openssl");
    let mut text = TEMPLATE.to_owned();
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("SEALPOST_")) {
        text = text.replace(&format!("${{{name}}}"), value.as_str().unwrap());
    }
    assert!(!text.contains("${SEALPOST"), "a name of the template is not replaced:\n{text}");
    let secrets = folder.path().join("secrets");
    let text = text.replace("/tmp", folder.path().to_str().unwrap()).replace("/run/secrets", secrets.to_str().unwrap());
    let file = folder.path().join("nginx.conf");
    fs::write(&file, text).unwrap();
    succeeds(Command::new("nginx").arg("-t").arg("-e").arg("stderr").arg("-c").arg(&file), "nginx-light");
}

#[test]
fn nats_takes_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (configuration, secrets) = (folder.path().join("etc/nats"), folder.path().join("run/secrets"));
    let mut make = Command::new(docker().join("make-secrets"));
    succeeds(make.args(["--self-signed", "chat.example"]).env("SEALPOST_SECRETS", &secrets), "openssl");
    fs::create_dir_all(&configuration).unwrap();
    fs::copy(docker().join("nats/nats.conf"), configuration.join("nats.conf")).unwrap();
    succeeds(Command::new("nats-server").arg("-t").arg("-c").arg(configuration.join("nats.conf")), "nats-server");
    fs::remove_file(secrets.join("nats_user")).unwrap();
    let mut without = Command::new("nats-server");
    let said = output(without.arg("-t").arg("-c").arg(configuration.join("nats.conf")), "nats-server");
    assert!(!said.status.success(), "it does without a user");
}

#[test]
fn prometheus_takes_its_rules_and_they_fire_when_they_should() {
    let config = docker().join("prometheus/prometheus.yml");
    succeeds(Command::new("promtool").args(["check", "config"]).arg(config), "prometheus");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/alerts.test.yml");
    succeeds(Command::new("promtool").args(["test", "rules"]).arg(cases), "prometheus");
}

#[test]
fn grafana_asks_the_source_that_it_is_given() {
    let dashboard = fs::read_to_string(docker().join("grafana/dashboards/sealpost.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let source = fs::read_to_string(docker().join("grafana/provisioning/datasources/prometheus.yml")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asking: Vec<&Value> = panels.iter().filter(|panel| panel["type"] != "row").collect();
    assert!(asking.len() > 20);
    for panel in asking {
        let uid = panel["datasource"]["uid"].as_str().unwrap();
        assert!(source.contains(&format!("uid: {uid}\n")), "{}", panel["title"]);
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
    }
}
