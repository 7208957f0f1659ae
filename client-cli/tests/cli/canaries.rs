//! What is secret stays where it belongs, whatever people do at the command line and however much is logged.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use crate::support::{Ended, Person, World, finish_with_input, until};

mod away;
mod found;

use found::Secrets;

/// Everything that a workload knew and said.
#[derive(Default)]
struct Workload {
    /// What its people wrote to each other: on the terminal of those two, and nowhere else.
    texts: Secrets,
    /// Passwords, passphrases, tokens, private keys, invites: nowhere.
    secrets: Secrets,
    /// Where its people come from: in nothing that the server writes down.
    addresses: Secrets,
    /// What they are called: in the server's database and an export; sealed at the client.
    names: Secrets,
    /// What all commands printed.
    stdout: String,
    stderr: String,
}

impl Workload {
    /// A person whose secrets are canaries.
    fn person(&mut self, world: &World, name: &str, number: u8) -> Person {
        let address = Ipv4Addr::new(127, 77, number, 200 + number);
        self.addresses.add("an address", address.to_string());
        self.names.add("a name", name);
        let server = world.url.strip_prefix("https://").unwrap().trim_end_matches('/').parse().unwrap();
        let person = world.person(name).at(&format!("https://{}", away::come_from(address, server)), &world.ca);
        self.secret(&person.secret("password"), &format!("canary password of {name}"));
        self.secret(&person.secret("passphrase"), &format!("canary passphrase of {name}"));
        person
    }

    /// Writes a secret into its file.
    fn secret(&mut self, file: &Path, text: &str) {
        fs::write(file, format!("{text}\n")).unwrap();
        self.secrets.add("a password or passphrase", text);
    }

    fn text(&mut self, text: &str) -> String {
        let text = format!("canary text, {text}");
        self.texts.add("a text", &text);
        text
    }

    /// Runs a command that logs all it can, and must end so.
    fn run(&mut self, person: &Person, arguments: &[&str], input: &str, code: i32) -> Ended {
        let mut command = person.command(arguments);
        command.env("SEALPOST_LOG", "trace");
        let ended = finish_with_input(command, input);
        assert_eq!(ended.code, Some(code), "{}: {arguments:?}: {ended:?}", person.name);
        self.stdout.push_str(&ended.stdout);
        self.stderr.push_str(&ended.stderr);
        ended
    }

    fn ok(&mut self, person: &Person, arguments: &[&str]) -> Ended {
        self.run(person, arguments, "", 0)
    }

    fn send(&mut self, from: &Person, to: &Person, text: &str) {
        let text = self.text(text);
        self.ok(from, &["send", &to.name, &text]);
    }

    /// Learns what is in the vault now.
    fn open_vault(&mut self, person: &Person) {
        let passphrase = fs::read_to_string(person.secret("passphrase")).unwrap();
        self.secrets.add_vault(&person.profile_folder().join("vault.db"), passphrase.trim_end());
    }

    /// One owner stays while other commands go through its socket; nothing lies open beside it.
    fn with_follower(&mut self, person: &Person, from: &Person) {
        let mut command = person.command(&["receive", "--follow"]);
        let log = tempfile::NamedTempFile::new().unwrap();
        command.env("SEALPOST_LOG", "trace").stdout(Stdio::null()).stderr(log.reopen().unwrap());
        let mut follower = command.spawn().unwrap();
        let socket = person.profile_folder().join("socket");
        until("the follower serves its socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
        self.send(from, person, "while somebody follows");
        self.send(person, from, "through the socket");
        let folder = person.profile_folder();
        assert!(folder.join("vault.db-wal").metadata().unwrap().len() > 0, "its journal is written");
        for canaries in [self.texts.canaries(), self.names.canaries(), self.secrets.canaries()] {
            assert_eq!(canaries.found_below(&folder).unwrap(), Vec::<String>::new(), "beside a running owner");
        }
        follower.kill().unwrap();
        follower.wait().unwrap();
        self.stderr.push_str(&fs::read_to_string(log).unwrap());
    }

    /// Whatever a person does with an account.
    fn account(&mut self, world: &World, person: &Person) {
        let folder = world.folder().join("secrets");
        let (right, wrong, new) = (person.secret("passphrase"), folder.join("wrong"), folder.join("new"));
        let passphrase = fs::read_to_string(&right).unwrap();
        self.secret(&right, &format!("canary passphrase of {}, mistyped", person.name));
        assert_eq!(self.run(person, &["whoami"], "", 7).error(), "vault_locked");
        fs::write(&right, passphrase).unwrap();
        self.secret(&new, &format!("canary password of {}, changed", person.name));
        self.ok(person, &["password", "--new-password-file", new.to_str().unwrap()]);
        self.ok(person, &["keys", "--rotate"]);
        self.open_vault(person);
        self.ok(person, &["sessions"]);
        self.ok(person, &["logout"]);
        // The old password is a wrong one now, and so is this.
        assert_eq!(self.run(person, &["login", &person.name], "", 4).error(), "login_failed");
        self.secret(&wrong, &format!("canary password of {}, guessed", person.name));
        fs::copy(&wrong, person.secret("password")).unwrap();
        assert_eq!(self.run(person, &["login", &person.name], "", 4).error(), "login_failed");
        fs::copy(&new, person.secret("password")).unwrap();
        self.ok(person, &["login", &person.name]);
        self.open_vault(person);
        self.ok(person, &["export", world.folder().join(format!("{}.json", person.name)).to_str().unwrap()]);
        self.ok(person, &["devices"]);
    }

    /// Whatever an operator does; the database must not know the new secrets either.
    fn operate(&mut self, world: &World, name: &str) {
        let invites = world.operate("admin", &["--json", "invites", "create", "--count", "3"]);
        for line in invites.lines() {
            self.secrets.add("an invite", line["invite"].as_str().unwrap());
        }
        let given = world.folder().join("secrets").join("given");
        self.secret(&given, "canary password given by the operator");
        let given = given.to_str().unwrap().to_owned();
        let reset = ["--yes", "--json", "users", "reset-password", name];
        world.operate("admin", &[&reset[..], &["--password-file", &given]].concat());
        let made = world.operate("admin", &reset);
        self.secrets.add("a password or passphrase", made.lines()[0]["password"].as_str().unwrap());
        for words in [&["users", "list"][..], &["users", "show", name], &["users", "disable", name], &["queues"]] {
            world.operate("admin", words);
        }
    }
}

/// Everybody does everything.
fn work(world: &World) -> Workload {
    let mut work = Workload::default();
    let alice = work.person(world, "canary_alice", 1);
    let bob = work.person(world, "canary_bob", 2);
    let carol = work.person(world, "canary_carol", 3);
    for person in [&alice, &bob, &carol] {
        work.ok(person, &["register", &person.name]);
        work.open_vault(person);
    }
    for number in 0..3 {
        work.send(&alice, &bob, &format!("number {number} from her"));
    }
    let long = work.text(&"very long ".repeat(500));
    work.run(&alice, &["send", &carol.name, "-"], &long, 0);
    work.ok(&bob, &["receive"]);
    let lines = [work.text("typed"), work.text("typed after that")];
    work.run(&bob, &["chat", &alice.name], &format!("{}\n", lines.join("\n")), 0);
    work.ok(&alice, &["receive"]);
    work.ok(&alice, &["verify", &bob.name]);
    work.ok(&alice, &["verify", &bob.name, "--mark"]);
    for person in [&alice, &bob] {
        work.open_vault(person);
    }
    work.with_follower(&bob, &alice);
    work.ok(&alice, &["receive"]);
    let nobody = work.text("for nobody");
    work.run(&alice, &["send", "canary_nobody", &nobody], "", 4);
    work.names.add("a name", "canary_nobody");
    work.account(world, &alice);
    work.ok(&carol, &["receive"]);
    work.open_vault(&carol);
    work.ok(&carol, &["delete-account", "--yes"]);
    work.send(&alice, &bob, "that waits for him");
    work.ok(&alice, &["history", &bob.name]);
    work.operate(world, &bob.name);
    work.open_vault(&alice);
    work.open_vault(&bob);
    work
}

fn metrics(world: &World) -> String {
    let address = world.private.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn nothing_secret_is_in_logs_metrics_stores_or_backups_after_everything_was_done() {
    let world = World::start_with(&["--log", "trace"]);
    let work = work(&world);
    let backup = world.folder().join("backup");
    world.operate("backup", &["--to", backup.to_str().unwrap()]);

    let mut never = Secrets::default();
    for secrets in [&work.texts, &work.secrets, &work.addresses] {
        never.join(secrets);
    }
    for (kind, least) in [
        ("a password or passphrase", 10),
        ("an identity's private key", 6),
        ("an access token", 5),
        ("a refresh token", 5),
        ("a prekey's private half", 300),
        ("a ratchet's key", 10),
        ("a text", 10),
        ("an address", 3),
        ("an invite", 3),
    ] {
        assert!(never.count(kind) >= least, "{} of {kind}", never.count(kind));
    }

    let nothing = Vec::<String>::new();
    let (anything, names, secrets) = (never.canaries(), work.names.canaries(), work.secrets.canaries());
    let log = fs::read_to_string(world.folder().join("server.log")).unwrap();
    let told = metrics(&world);
    assert!(log.contains("TRACE") && log.contains("request_id"), "the server logs all it can");
    assert!(work.stderr.contains("DEBUG"), "the clients log all they can");
    assert!(told.contains("sealpost_logins_total"));
    for (place, text) in [("the server's log", &log), ("the metrics", &told), ("the clients' log", &work.stderr)] {
        assert_eq!(anything.found_in(place, text.as_bytes()), nothing);
    }
    // Errors are JSON, and name who was not found.
    let logged = work.stderr.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n");
    let audit = fs::read_to_string(world.folder().join("server/audit.log")).unwrap();
    assert!(audit.contains("reset_password"), "{audit}");
    for (place, text) in
        [("the server's log", &log), ("the metrics", &told), ("the clients' log", &logged), ("the audit log", &audit)]
    {
        assert_eq!(names.found_in(place, text.as_bytes()), nothing);
    }
    assert_eq!(secrets.found_in("what commands print", work.stdout.as_bytes()), nothing);
    for folder in ["server", "backup", "clients"] {
        assert_eq!(anything.found_below(&world.folder().join(folder)).unwrap(), nothing);
    }
    assert_eq!(names.found_below(&world.folder().join("clients")).unwrap(), nothing, "a vault hides its people");
    let export = fs::read(world.folder().join("canary_alice.json")).unwrap();
    assert_eq!(anything.found_in("an export", &export), nothing);

    // The controls: what is somewhere is found.
    let planted = world.folder().join("planted");
    fs::create_dir(&planted).unwrap();
    let vault = fs::read(world.folder().join("clients/canary_alice/vault.db")).unwrap();
    let (front, back) = vault.split_at(vault.len() / 2 + 7);
    let secrets: Vec<_> = never.raw().collect();
    fs::write(planted.join("vault.db"), [front, &secrets.concat(), back].concat()).unwrap();
    assert!(secrets.len() >= 100 && anything.len() > secrets.len(), "{} canaries", secrets.len());
    assert_eq!(
        anything.found_below(&planted).unwrap().len(),
        secrets.len(),
        "every canary is found in a copy of a vault"
    );
    let typed = Secrets::of(&work.secrets, "a password or passphrase");
    assert!(
        typed.canaries().found_below(&world.folder().join("secrets")).unwrap().len() > 10,
        "where people keep them"
    );
    let shown = work.texts.canaries().found_in("what commands print", work.stdout.as_bytes());
    assert_eq!(shown.len(), work.texts.len() - 1, "all but what was refused");
    for place in ["server/sealpost.db", "backup/sealpost.db"] {
        let bytes = fs::read(world.folder().join(place)).unwrap();
        let found = names.found_in(place, &bytes);
        assert!(found.iter().any(|name| name.contains("canary_bob")), "{place} names people: {found:?}");
    }
}

/// A core would hold keys, texts and passwords.
#[test]
fn an_aborted_command_leaves_no_core_even_where_cores_are_allowed() {
    let world = World::start();
    let alice = world.registered("alice");
    let folder = world.folder().join("cwd");
    fs::create_dir(&folder).unwrap();
    let allowed = |command: &std::process::Command| {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).arg(command.get_program());
        shell.args(command.get_args()).current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
        shell
    };
    if fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap().trim() == "core" {
        // The control: where nothing forbids it, a core is written.
        let mut control = std::process::Command::new("sh");
        control.args(["-c", "kill -ABRT $$"]);
        assert!(!allowed(&control).status().unwrap().success());
        let cores: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!cores.is_empty(), "the control wrote no core");
        cores.iter().for_each(|core| fs::remove_file(core).unwrap());
    }
    let mut follower = allowed(&alice.command(&["receive", "--follow"])).spawn().unwrap();
    let socket = alice.profile_folder().join("socket");
    until("the follower serves its socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
    let id = rustix::process::Pid::from_child(&follower);
    let limits = fs::read_to_string(format!("/proc/{}/limits", id.as_raw_nonzero())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    rustix::process::kill_process(id, rustix::process::Signal::ABORT).unwrap();
    assert!(!follower.wait().unwrap().success());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "a core was written");
}
