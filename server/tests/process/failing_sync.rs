//! A disk that fails to sync: strace makes the system call fail in one thread of the running server.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealpost_api::frames::ServerFrame;

use super::durability::texts;
use super::world::{Client, Person, Running, World};

/// From a certain call on, fsync and fdatasync of the thread fail.
struct Failing {
    strace: Child,
    trace: PathBuf,
}

impl Failing {
    /// In the server's thread of this name, from the `first` call on (counted from now).
    fn in_thread(world: &World, server: &Running, name: &str, first: u32) -> Self {
        let mut tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().map(|task| task.unwrap().path());
        let task = tasks
            .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| name.starts_with(comm.trim_end())))
            .unwrap_or_else(|| panic!("no thread {name}"));
        let trace = world.file("trace");
        let mut strace = Command::new("strace")
            .args(["-y", "-e", "trace=fsync,fdatasync", "-e"])
            .arg(format!("inject=fsync,fdatasync:error=EIO:when={first}+"))
            .arg("-p")
            .arg(task.file_name().unwrap())
            .arg("-o")
            .arg(&trace)
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is needed");
        let begin = Instant::now();
        while fs::read_to_string(task.join("status")).unwrap().contains("TracerPid:\t0\n") {
            assert!(strace.try_wait().unwrap().is_none(), "strace must be allowed to attach");
            assert!(begin.elapsed() < Duration::from_secs(60), "strace did not attach");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { strace, trace }
    }

    /// The calls that failed. There must be one.
    fn injected(mut self) -> Vec<String> {
        // It ends with what it watched.
        self.strace.wait().unwrap();
        let trace = fs::read_to_string(&self.trace).unwrap();
        let injected: Vec<_> = trace.lines().filter(|line| line.contains("(INJECTED)")).map(str::to_owned).collect();
        assert!(!injected.is_empty(), "no sync failed:\n{trace}");
        injected
    }
}

/// Sends one message after the other until the server refuses or is gone; how many it accepted.
async fn send_until_refused(client: &Client, from: &Person, to: &Person, text: &str) -> usize {
    let mut socket = client.connect(from).await;
    while socket.frame().await != ServerFrame::Drained {}
    let mut accepted = 0;
    loop {
        socket.send(accepted + 1, to, text).await;
        match socket.next().await {
            Ok(ServerFrame::Sent(sent)) if sent.number.0 == accepted + 1 => accepted += 1,
            Ok(ServerFrame::Refused(refused)) => {
                assert!(refused.maybe_stored, "nobody knows what the disk holds: {refused:?}");
                break;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => return usize::try_from(accepted).unwrap(),
        }
        assert!(accepted < 2_000, "it goes on without its disk");
    }
    // Nor is anything accepted later, until the connection ends.
    for number in accepted + 2.. {
        if socket.try_send(number, to, text).await.is_err() {
            break;
        }
        match socket.next().await {
            Ok(ServerFrame::Refused(_)) => {}
            Ok(other) => panic!("after a failed sync: {other:?}"),
            Err(_) => break,
        }
    }
    usize::try_from(accepted).unwrap()
}

fn a_fast_server(world: &mut World) -> Running {
    let limits = "[limits.send_pair]\nburst = 100000\ntokens = 100000\nper_seconds = 1\n";
    fs::write(world.file("c.toml"), limits).unwrap();
    let config = world.file("c.toml").display().to_string();
    world.start(&["--listen", "127.0.0.1:0", "--config", &config])
}

fn ends_with_its_reason(server: &mut Running, reason: &str) {
    let status = server.ended();
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let log = server.log();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with(&format!("sealpost-server: the store has stopped: {reason}")), "{log}");
}

#[tokio::test]
async fn threat_74_after_a_failed_sync_of_a_commit_nothing_is_accepted_and_the_process_ends() {
    const GOOD: usize = 5;
    let mut world = World::new();
    let mut server = world.start_local();
    let client = server.client();
    let (alice, bob) = (
        client.register("alice", "correct horse battery").await,
        client.register("bob", "correct horse battery").await,
    );
    let failing = Failing::in_thread(&world, &server, "store-writer", u32::try_from(GOOD).unwrap() + 1);
    let accepted = send_until_refused(&client, &alice, &bob, "text").await;
    assert!(accepted <= GOOD, "{accepted} accepted with {GOOD} syncs");
    ends_with_its_reason(&mut server, "a write could not be made durable");
    let injected = failing.injected();
    assert!(injected.iter().any(|call| call.contains("sealpost.db-wal")), "{injected:?}");

    let server = world.start_local();
    let mut receiver = server.client().connect(&bob).await;
    assert!(texts(&mut receiver).await.len() >= accepted);
}

#[tokio::test]
async fn a_failed_sync_of_a_checkpoint_ends_the_process_and_loses_nothing() {
    let mut world = World::new();
    let mut server = a_fast_server(&mut world);
    let client = server.client();
    let (alice, bob) = (
        client.register("alice", "correct horse battery").await,
        client.register("bob", "correct horse battery").await,
    );
    let failing = Failing::in_thread(&world, &server, "store-checkpoint", 1);
    let accepted = send_until_refused(&client, &alice, &bob, &"x".repeat(90_000)).await;
    ends_with_its_reason(&mut server, "the log could not be written back");
    failing.injected();

    let server = world.start_local();
    assert!(server.client().welcomed(&bob).await.1.pending >= accepted as u64);
}

/// Whatever is synced at the first start, the folder's names included: without it the server does not serve.
#[test]
fn a_first_start_whose_syncs_fail_is_refused() {
    let mut failed = String::new();
    for first in 1..100 {
        let mut world = World::new();
        let (trace, ready) = (world.file("trace"), world.file("ready.json"));
        let serve = world.serve(&["--listen", "127.0.0.1:0", "--ready-file", ready.to_str().unwrap()]);
        let mut strace = Command::new("strace");
        strace
            .env_clear()
            .env("HOME", world.file("."))
            .args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-e"])
            .arg(format!("inject=fsync,fdatasync:error=EIO:when={first}+"))
            .arg("-o")
            .arg(&trace)
            .arg(serve.get_program())
            .args(serve.get_args());
        let mut child = strace.stderr(fs::File::create(world.file("said")).unwrap()).spawn().expect("strace is needed");
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if ready.exists() => break None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let Some(status) = status else {
            let ready: serde_json::Value = serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap();
            let server =
                rustix::process::Pid::from_raw(i32::try_from(ready["pid"].as_i64().unwrap()).unwrap()).unwrap();
            rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
            child.wait().unwrap();
            assert!(first > 5, "the first syncs failed, and it serves");
            break;
        };
        assert!(!status.success());
        let said = fs::read_to_string(world.file("said")).unwrap();
        assert!(said.lines().last().is_some_and(|line| line.starts_with("sealpost-server: ")), "{said}");
        failed.push_str(&fs::read_to_string(&trace).unwrap());
        drop(world.start_local());
    }
    for name in ["sealpost.db.new", "/data>", "token_keys.json.new"] {
        let injected = failed.lines().any(|line| line.contains(name) && line.contains("(INJECTED)"));
        assert!(injected, "no failed sync of {name}:\n{failed}");
    }
}
