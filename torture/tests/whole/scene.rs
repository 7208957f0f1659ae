//! A server and people, and what they do most.

use std::path::PathBuf;

use sealpost_harness::cli::{Ended, KillAt, Person, Programs};
use sealpost_torture::world::Server;
use serde_json::Value;

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) programs: Programs,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let programs = Programs::find(std::env::var_os("SEALPOST_TEST_PROGRAMS").map(Into::into)).unwrap();
        let folder = tempfile::Builder::new().prefix("sealpost-whole-").tempdir().unwrap();
        let server = Server::start(&programs, folder.path()).unwrap();
        Self { server, folder, programs }
    }

    /// Somebody who has registered.
    pub(crate) fn person(&self, name: &str) -> Person {
        let person = Person::new(name, &self.programs, self.folder.path(), &self.server.url, &self.server.ca).unwrap();
        assert_eq!(run(&person, &["register", name]).code, Some(0));
        person
    }

    /// The same account on another machine, with the same password.
    pub(crate) fn machine(&self, name: &str, profile: &str) -> Person {
        let mut person =
            Person::new(profile, &self.programs, self.folder.path(), &self.server.url, &self.server.ca).unwrap();
        let password = |name: &str| self.folder.path().join(format!("{name}.password"));
        std::fs::copy(password(name), password(profile)).unwrap();
        name.clone_into(&mut person.name);
        person
    }

    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.folder.path().join("clients").join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("server/sealpost.db")
    }
}

pub(crate) fn run(person: &Person, arguments: &[&str]) -> Ended {
    person.run(arguments, KillAt::Never).unwrap()
}

pub(crate) fn send(from: &Person, to: &Person, text: &str) {
    let ended = run(from, &["send", &to.name, text]);
    assert!(ended.code == Some(0) && ended.has("sent"), "{ended:?}");
}

/// Receives once; what was printed.
pub(crate) fn receive(person: &Person) -> Vec<Value> {
    let ended = run(person, &["receive"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.lines
}

pub(crate) fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter(|line| event(line) == "message").filter_map(|line| line.get("text")?.as_str()).collect()
}

pub(crate) fn event(line: &Value) -> &str {
    line.get("event").and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(event).collect()
}

/// Sends these lines through one `chat`; how many were accepted.
pub(crate) fn chat(from: &Person, to: &str, lines: &[String]) -> usize {
    let ended = from.run_with_input(&["chat", to], &(lines.join("\n") + "\n")).unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    events(&ended.lines).iter().filter(|event| **event == "sent").count()
}

/// The texts that this person has from that one, oldest first.
pub(crate) fn history(person: &Person, with: &str, from: &str) -> Vec<String> {
    let ended = run(person, &["history", with]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let of = |line: &&Value| line.get("from").and_then(Value::as_str) == Some(from);
    ended.lines.iter().filter(of).map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}
