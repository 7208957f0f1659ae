//! The OpenAPI document as other tools read it: a validator, and a generator of typed clients.
//!
//! Both are Python programs. They are installed once for each version of their list, below the target folder, at versions and
//! hashes that the list names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealpost_api::server::ServerInfo;
use sha2::{Digest as _, Sha256};

use super::world::{World, registration};

/// The Python packages, each at one version and with its hashes.
const REQUIREMENTS: &str = include_str!("generated_client/requirements.txt");

/// Runs a command, and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; python3 is needed"));
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/generated_client")
}

/// Returns the programs' folder of a virtual environment that holds the packages, and makes it first where it is not there.
fn tools() -> PathBuf {
    let version = hex::encode(&Sha256::digest(REQUIREMENTS)[..8]);
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openapi-{version}"));
    let (programs, complete) = (environment.join("bin"), environment.join("complete"));
    if !complete.exists() {
        // A run that was broken off may have left a part of it.
        let _ = fs::remove_dir_all(&environment);
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r"];
        run(Command::new(programs.join("python")).args(install).arg(files().join("requirements.txt")));
        fs::write(complete, version).unwrap();
    }
    programs
}

#[tokio::test]
async fn the_document_is_valid_and_a_client_generated_from_it_makes_typed_calls() {
    let tools = tools();
    let mut world = World::new();
    let server = world.start_local();
    let http = server.client();
    let (status, document) = http.get("/v1/openapi.json").await;
    assert_eq!(status, 200);
    let (file, generated) = (world.file("openapi.json"), world.file("generated"));
    fs::write(&file, &document).unwrap();
    let said = run(Command::new(tools.join("python")).args(["-m", "openapi_spec_validator"]).arg(&file));
    assert!(said.contains("OK"), "{said}");

    // The generator formats what it makes with a program of the same environment.
    let mut path = vec![tools.clone()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut generate = Command::new(tools.join("openapi-python-client"));
    generate.env("PATH", std::env::join_paths(path).unwrap());
    generate.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]).arg(&file);
    fs::create_dir(&generated).unwrap();
    run(generate.arg("--output-path").arg(generated.join("sealpost_client")));

    let info: ServerInfo = serde_json::from_str(&http.get("/v1/server").await.1).unwrap();
    let (request, _) = registration(&info, "typed.caller", "correct horse battery", None);
    let body = world.file("registration.json");
    fs::write(&body, serde_json::to_string(&request).unwrap()).unwrap();
    let mut calls = Command::new(tools.join("python"));
    calls.env("PYTHONPATH", &generated).arg(files().join("typed_calls.py"));
    let said = run(calls.arg(server.text("url")).arg(server.ready["ca"].as_str().unwrap()).arg(&body));
    assert!(said.trim_end().ends_with("done"), "{said}");
    println!("{said}");
}
