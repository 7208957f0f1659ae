//! Plays the main job: a server and two people, one of them offline at first.

mod play;
mod server;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::command::{built, root, run_cargo};

/// The folder where the demo keeps everything. Each run starts with an empty one.
const FOLDER: &str = "target/demo";

/// Builds server and client, plays the conversation, and leaves the server running unless `once`.
pub(crate) fn run(once: bool) -> Result<()> {
    eprintln!("Building the server and the client (a few minutes the first time) …");
    run_cargo(&["build", "--locked", "--release", "--package", "sealpost-server", "--package", "sealpost"], &[])?;
    let programs = built("release")?;
    let folder = root()?.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} could not be emptied", folder.display()))?;
    }
    fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;

    let mut server = server::Server::start(&programs.join("sealpost-server"), &folder)?;
    println!("\nThe server is up: {}", server.url);
    println!("  its private CA: {} (SHA-256 {})", server.ca.display(), server.fingerprint);
    let result = play::conversation(&programs.join("sealpost"), &folder, &server);
    if result.is_err() || once {
        server.stop()?;
        return result;
    }
    how_to_join(&programs, &folder, &server);
    server.wait()
}

fn how_to_join(programs: &Path, folder: &Path, server: &server::Server) {
    let sealpost = programs.join("sealpost");
    println!("\nThe server goes on running. Join the conversation from another terminal:\n");
    println!(
        "  {} --data {} --server {} --ca {} --profile me register YOUR_NAME",
        sealpost.display(),
        folder.join("clients").display(),
        server.url,
        server.ca.display()
    );
    println!("  {} --data {} --profile me send bob \"Hello\"", sealpost.display(), folder.join("clients").display());
    println!(
        "  {} --data {} --profile bob --passphrase-file {} receive",
        sealpost.display(),
        folder.join("clients").display(),
        folder.join("bob.passphrase").display()
    );
    println!("\nCtrl-C stops the server.");
}

/// Writes a secret where only this user can read it.
fn write_secret(path: &Path, secret: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())?;
    Ok(())
}
