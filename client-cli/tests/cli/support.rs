//! Real processes: the server in a folder of its own, and people at the command line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sealpost_harness::server::Server;
use serde_json::Value;

/// Longer than anything takes on a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) const SEALPOST: &str = env!("CARGO_BIN_EXE_sealpost");

/// A running server and a folder for everything.
pub(crate) struct World {
    folder: tempfile::TempDir,
    server: Option<Server>,
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    /// What the server prints for people to compare.
    pub(crate) fingerprint: String,
    chain: Option<PathBuf>,
    /// Further flags of `serve`.
    flags: Vec<String>,
    /// Where the server tells its metrics.
    pub(crate) private: String,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A person's profile.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) profile: String,
    folder: PathBuf,
    url: String,
    ca: PathBuf,
}

/// A command that runs on.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further flags of `serve`.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
            url: String::new(),
            ca: PathBuf::new(),
            fingerprint: String::new(),
            chain: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            private: String::new(),
        };
        world.start_server();
        world
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the server where it was, or for the first time on any free port.
    pub(crate) fn start_server(&mut self) {
        let ready = self.folder().join("ready.json");
        let listen = self.url.strip_prefix("https://").unwrap_or("127.0.0.1:0").trim_end_matches('/').to_owned();
        let mut command = Command::new(server_program());
        command
            .args(["serve", "--registration", "open", "--listen", &listen, "--data"])
            .arg(self.folder().join("server"));
        if let Some(chain) = &self.chain {
            command.arg("--tls-cert").arg(chain).arg("--tls-key").arg(self.folder().join("server/tls/server.key"));
        }
        command.args(&self.flags);
        let server = Server::start(&mut command, &ready, &self.folder().join("server.log")).unwrap();
        let fact = |name: &str| server.fact(name).unwrap().to_owned();
        (self.url, self.private) = (fact("url"), fact("private"));
        if self.chain.is_none() {
            (self.ca, self.fingerprint) = (fact("ca").into(), fact("fingerprint"));
        }
        self.server = Some(server);
    }

    /// Starts the server with its own certificate.
    pub(crate) fn serve_built_in(&mut self) {
        self.chain = None;
        self.start_server();
    }

    /// Starts the server anew with the same certificate as a file, with or without its authority's behind it.
    pub(crate) fn show_certificates(&mut self, with_authority: bool) {
        self.kill_server();
        let mut chain = fs::read_to_string(self.folder().join("server/tls/server.pem")).unwrap();
        chain.truncate(chain.find("-----END CERTIFICATE-----").unwrap() + "-----END CERTIFICATE-----\n".len());
        if with_authority {
            chain.push_str(&fs::read_to_string(&self.ca).unwrap());
        }
        let file = self.folder().join("chain.pem");
        fs::write(&file, chain).unwrap();
        self.chain = Some(file);
        self.start_server();
    }

    /// Runs another command of the server's program on its data folder.
    pub(crate) fn operate(&self, command: &str, arguments: &[&str]) -> Ended {
        let mut program = Command::new(server_program());
        program.args([command, "--data"]).arg(self.folder().join("server")).args(arguments).stdin(Stdio::null());
        let ended = finish(program);
        assert_eq!(ended.code, Some(0), "{command} {arguments:?}: {ended:?}");
        ended
    }

    /// kill -9.
    pub(crate) fn kill_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().unwrap();
        }
    }

    /// A person, not registered yet.
    pub(crate) fn person(&self, name: &str) -> Person {
        self.person_on(name, name)
    }

    /// The same person on another machine.
    pub(crate) fn person_on(&self, name: &str, profile: &str) -> Person {
        let secrets = self.folder().join("secrets");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&secrets).unwrap();
        for (kind, owner) in [("password", name), ("passphrase", profile)] {
            let path = secrets.join(format!("{owner}.{kind}"));
            let file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
            writeln!(file.unwrap(), "{owner} has a {kind} of their own").unwrap();
        }
        Person {
            name: name.to_owned(),
            profile: profile.to_owned(),
            folder: self.folder().to_owned(),
            url: self.url.clone(),
            ca: self.ca.clone(),
        }
    }

    /// A registered person.
    pub(crate) fn registered(&self, name: &str) -> Person {
        let person = self.person(name);
        let ended = person.run(&["register", name]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.events("registered")[0]["account"], name);
        person
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_server();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder().join("server.log")).unwrap_or_default();
            println!("--- the server's log\n{log}");
        }
    }
}

impl Person {
    /// The same person, who knows the server at another address under another authority.
    pub(crate) fn at(mut self, url: &str, ca: &Path) -> Self {
        url.clone_into(&mut self.url);
        ca.clone_into(&mut self.ca);
        self
    }

    /// The folder of this person's profile.
    pub(crate) fn profile_folder(&self) -> PathBuf {
        self.folder.join("clients").join(&self.profile)
    }

    pub(crate) fn secret(&self, kind: &str) -> PathBuf {
        let owner = if kind == "password" { &self.name } else { &self.profile };
        self.folder.join("secrets").join(format!("{owner}.{kind}"))
    }

    /// A command of this profile, without `--json`, and without a word about the server.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .arg("--data")
            .arg(self.folder.join("clients"))
            .args(["--profile", &self.profile])
            .arg("--password-file")
            .arg(self.secret("password"))
            .arg("--passphrase-file")
            .arg(self.secret("passphrase"))
            .args(arguments);
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(&["--json", "--server", &self.url]);
        command.arg("--ca").arg(&self.ca).args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        finish(self.command(arguments))
    }

    /// Runs a command that must end with 0.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{}: {arguments:?}: {ended:?}", self.name);
        ended
    }

    /// Runs `receive`; the texts of the messages it prints.
    pub(crate) fn receives(&self) -> Vec<String> {
        self.ok(&["receive"]).texts()
    }

    /// Starts a command that runs on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines }
    }

    /// Starts `receive --follow` and waits until it serves its socket.
    pub(crate) fn follow(&self) -> Running {
        let running = self.start(&["receive", "--follow"]);
        let socket = self.profile_folder().join("socket");
        until("the follower serves its socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
        running
    }
}

impl Running {
    /// The next line that is such an event.
    pub(crate) fn next(&self, event: &str) -> Value {
        let begin = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {event} was printed"));
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == event {
                return value;
            }
        }
    }

    /// What an ended command said on stderr.
    pub(crate) fn errors(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal and waits for the end; the exit code.
    pub(crate) fn stop(mut self, signal: rustix::process::Signal) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
        until("the command ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The lines that are such an event.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let lines: Vec<_> = self.lines().into_iter().filter(|line| line["event"] == event).collect();
        assert!(!lines.is_empty(), "no {event} in {self:?}");
        lines
    }

    pub(crate) fn has(&self, event: &str) -> bool {
        self.lines().iter().any(|line| line["event"] == event)
    }

    /// The messages' texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.lines()
            .iter()
            .filter(|line| line["event"] == "message")
            .map(|line| line["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The code of the error object on stderr.
    pub(crate) fn error(&self) -> String {
        let line = self.stderr.lines().last().unwrap_or_default();
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no error object: {self:?}"));
        assert!(value["error"]["message"].is_string(), "{value}");
        value["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// The program, with nothing of this environment that would change what it does.
pub(crate) fn program() -> Command {
    let mut command = Command::new(SEALPOST);
    for (name, _) in std::env::vars_os() {
        // Only the special build without countermeasures reads the one that stays.
        if name.to_string_lossy().starts_with("SEALPOST_") && name != "SEALPOST_SABOTAGE" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command with this on its standard input.
pub(crate) fn finish_with_input(mut command: Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Looks until something is there.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The server: named by `SEALPOST_TEST_SERVER`, or beside the program under test, where it is built if it is missing.
fn server_program() -> PathBuf {
    if let Some(path) = std::env::var_os("SEALPOST_TEST_SERVER") {
        return path.into();
    }
    let folder = Path::new(SEALPOST).parent().unwrap();
    let path = folder.join("sealpost-server");
    if !path.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "sealpost-server", "--bin", "sealpost-server", "--target-dir"]);
        build.arg(folder.parent().unwrap());
        if folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the server could not be built");
    }
    path
}
