//! Plays the conversation through the command line, as a person would use it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::server::Server;
use super::write_secret;

/// One person at a command line.
struct Person<'a> {
    name: &'static str,
    program: &'a Path,
    folder: &'a Path,
    server: &'a Server,
}

/// Registers two people and lets them write to each other. Fails when a text arrives changed or not at all.
pub(crate) fn conversation(program: &Path, folder: &Path, server: &Server) -> Result<()> {
    let person = |name| Person { name, program, folder, server };
    let (alice, bob) = (person("alice"), person("bob"));
    alice.register()?;
    bob.register()?;

    println!("\nbob is offline. alice writes to him:");
    alice.send("bob", "Hello Bob, are you there?")?;
    alice.send("bob", "Only you can read this.")?;

    println!("\nbob comes online:");
    bob.receive(&["Hello Bob, are you there?", "Only you can read this."])?;

    println!("\nbob answers, and alice reads it:");
    bob.send("alice", "I am, and I can.")?;
    alice.receive(&["I am, and I can."])?;

    println!("\nBoth read the same safety number to each other to know that nobody sits between them:");
    let (ours, theirs) = (alice.safety_number("bob")?, bob.safety_number("alice")?);
    ensure!(ours == theirs, "the safety numbers differ");
    println!("  {ours}");
    Ok(())
}

impl Person<'_> {
    fn secret_file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }

    fn register(&self) -> Result<()> {
        for kind in ["password", "passphrase"] {
            write_secret(&self.secret_file(kind), &random_words()?)?;
        }
        self.run(&["register", self.name])?;
        println!("{} has registered.", self.name);
        Ok(())
    }

    fn send(&self, to: &str, text: &str) -> Result<()> {
        let lines = self.run(&["send", to, text])?;
        let sent = lines.iter().any(|line| field(line, "event") == Some("sent"));
        ensure!(sent, "the server did not accept the message");
        println!("  {} → {to}: {text}", self.name);
        Ok(())
    }

    fn receive(&self, expected: &[&str]) -> Result<()> {
        let lines = self.run(&["receive"])?;
        let texts: Vec<&str> = lines
            .iter()
            .filter(|line| field(line, "event") == Some("message"))
            .filter_map(|line| field(line, "text"))
            .collect();
        ensure!(texts == expected, "{} read {texts:?} instead of {expected:?}", self.name);
        for line in &lines {
            if let (Some(from), Some(text)) = (field(line, "from"), field(line, "text")) {
                println!("  {} reads from {from}: {text}", self.name);
            }
        }
        Ok(())
    }

    fn safety_number(&self, name: &str) -> Result<String> {
        let lines = self.run(&["verify", name])?;
        lines
            .iter()
            .find_map(|line| field(line, "safety_number"))
            .map(str::to_owned)
            .context("verify printed no safety number")
    }

    /// Runs one command with `--json`, and returns the lines that it prints.
    fn run(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = Command::new(self.program)
            .arg("--data")
            .arg(self.folder.join("clients"))
            .args(["--profile", self.name, "--json", "--timeout", "60", "--server", &self.server.url, "--ca"])
            .arg(&self.server.ca)
            .arg("--password-file")
            .arg(self.secret_file("password"))
            .arg("--passphrase-file")
            .arg(self.secret_file("passphrase"))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        if !output.status.success() {
            bail!("`sealpost {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        String::from_utf8(output.stdout)?
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }
}

fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

/// Returns a random secret for the demo's own accounts.
fn random_words() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
