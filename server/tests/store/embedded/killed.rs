//! kill -9 at any moment: what was answered holds, and no one-time prekey is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use sealpost_api::ids::KeyEpoch;
use sealpost_crypto::{DeviceAddress, DeviceId};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::{
    AcceptOutcome, OpenConnection, PrekeyStore as _, QueueItem, QueueStore as _, UploadPrekeys,
};

use crate::world::{Device, NOW, Person, S, one_time, size};

const FOLDER: &str = "SEALPOST_TEST_KILLED";

fn open(path: &Path) -> S {
    let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
    Arc::new(EmbeddedStore::open(path, &options, &[7; 32]).unwrap())
}

/// A registered device as a new process finds it: with its session and the next connection.
async fn find(store: &S, name: &str) -> Device {
    let account = store.account_by_name(&Person::new(name).name).await.unwrap().unwrap();
    let address = store.devices(account.id).await.unwrap().unwrap()[0].address;
    let session = store.sessions(account.id).await.unwrap()[0].id;
    let OpenConnection::Opened { epoch, .. } = store.open_connection(address, session, 1, NOW).await.unwrap() else {
        panic!("refused")
    };
    Device { address, session, epoch, ..Device::new(account.id, 1) }
}

/// One line for each answer, written after it came.
fn say(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

/// The child: takes, uploads and sends as fast as it can, for ever.
async fn work(path: &Path) {
    say(format_args!("\npid {}", std::process::id()));
    let store = open(path);
    let (alice, bob) = (find(&store, "alice").await, find(&store, "bob").await);
    let record = store.device(alice.address).await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..4 {
        let (store, alice, bob) = (store.clone(), alice.clone(), bob.address);
        let first = record.highest_number.0 + 1 + lane;
        tasks.spawn(async move {
            for number in (first..).step_by(4) {
                let copy = Device { address: bob, ..alice.clone() }.copy(&number.to_string());
                let mut accept = alice.accept(number, bob.account, vec![copy]);
                // Nobody acknowledges: a thousand kills leave a long queue.
                (accept.limits.messages_max, accept.limits.sender_messages_max) = (u64::MAX, u64::MAX);
                match store.accept(accept, NOW).await.unwrap() {
                    AcceptOutcome::Accepted { .. } => say(format_args!("accepted {number}")),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    for _ in 0..4 {
        let (store, bob) = (store.clone(), bob.address);
        tasks.spawn(async move {
            loop {
                let bundle = store.take_bundle(bob.account, DeviceId::PRIMARY, true, NOW).await.unwrap().unwrap();
                match bundle.one_time_prekey {
                    Some(key) => say(format_args!("taken {}", key.id)),
                    None => tokio::task::yield_now().await,
                }
            }
        });
    }
    tasks.spawn(async move {
        let mut next = store.device(bob.address).await.unwrap().unwrap().max_issued_id + 1;
        loop {
            let keys = (next..next + 50).map(one_time).collect();
            match store.upload_prekeys(bob.address, KeyEpoch(1), keys, None).await.unwrap() {
                UploadPrekeys::Stored => next += 50,
                UploadPrekeys::Full => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// What the answers of all lives of the child add up to.
#[derive(Default)]
struct Answers {
    taken: BTreeSet<u32>,
    accepted: BTreeSet<u64>,
}

impl Answers {
    fn hear(&mut self, line: &str) {
        if let Some(key) = line.strip_prefix("taken ") {
            assert!(self.taken.insert(key.parse().unwrap()), "one-time prekey {key} was given twice");
        } else if let Some(number) = line.strip_prefix("accepted ") {
            assert!(self.accepted.insert(number.parse().unwrap()), "number {number} was accepted twice");
        }
    }
}

/// strace makes each write to the store take its time, so that the kills fall between an operation and its commit.
/// What `write(2)` was given is not lost here, because the system lives on: power cuts are a test of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_3_killed_while_it_writes_no_answer_is_lost_and_no_key_given_twice() {
    if let Some(path) = std::env::var_os(FOLDER) {
        return work(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let bob = {
        let store = open(&path);
        Person::register(&store, "alice", 1).await;
        let bob = Person::register(&store, "bob", 1).await;
        store.close().await;
        bob.devices[0].address
    };
    let mut answers = Answers::default();
    let mut random = StdRng::seed_from_u64(11);
    // `SEALPOST_KILLS=1000` is the long form.
    for kill in 0..size("SEALPOST_KILLS", 24) {
        let (taken, accepted) = (answers.taken.len(), answers.accepted.len());
        let mut child = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=500"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "embedded::killed::threat_3_killed_while_it_writes_no_answer_is_lost_and_no_key_given_twice",
                "--nocapture",
            ])
            .env(FOLDER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is needed");
        let lines = BufReader::new(child.stdout.take().unwrap());
        let after = random.random_range(1..150);
        let wait = Duration::from_micros(random.random_range(0..3_000));
        let (mut heard, mut pid) = (0, None);
        for line in lines.lines() {
            let Ok(line) = line else { break };
            if let Some(number) = line.strip_prefix("pid ") {
                pid = Pid::from_raw(number.parse().unwrap());
            }
            answers.hear(&line);
            heard += usize::from(line.starts_with("taken ") || line.starts_with("accepted "));
            if heard == after {
                // Not only right after an answer, but anywhere between two.
                std::thread::sleep(wait);
                kill_process(pid.unwrap(), Signal::KILL).unwrap();
            }
        }
        child.wait().unwrap();
        assert!(answers.taken.len() + answers.accepted.len() >= taken + accepted + after, "kill {kill}");
    }
    check(&path, bob, &answers).await;
}

async fn check(path: &Path, bob: DeviceAddress, answers: &Answers) {
    assert!(answers.taken.len() > 100 && answers.accepted.len() > 100);
    let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(path, &options, &[7; 32]).unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    let left = store.one_time_prekey_ids(bob).await.unwrap().unwrap();
    assert!(left.iter().all(|id| !answers.taken.contains(id)), "a key that was given is still there");
    let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
    for item in store.undelivered(bob, &BTreeSet::new(), usize::MAX, usize::MAX).await.unwrap() {
        let QueueItem::Message { number, ciphertext, .. } = item else { panic!("{item:?}") };
        assert_eq!(ciphertext, number.0.to_string().as_bytes());
        *rows.entry(number.0).or_default() += 1;
    }
    assert!(rows.values().all(|count| *count == 1));
    let lost: Vec<_> = answers.accepted.iter().filter(|number| !rows.contains_key(number)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
}
