use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealpost_api::ids::KeyEpoch;
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore, FreeSpace};
use sealpost_server::store::{AcceptOutcome, AccountStore as _, DeviceStore as _, StoreError};

use crate::world::{NOW, Person, S, one_time, rows};

struct Disk(AtomicU64);

impl FreeSpace for Disk {
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }
}

/// A full disk refuses what would grow the store, and nothing else.
#[tokio::test]
async fn with_the_reserve_used_up_nothing_is_accepted_but_acks_work() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk(AtomicU64::new(1_000_000)));
    let free_space: Arc<dyn FreeSpace> = disk.clone();
    let options = EmbeddedOptions { reserve_bytes: 1_000_000, free_space, ..EmbeddedOptions::default() };
    let store: S = Arc::new(EmbeddedStore::open(&folder.path().join("data"), &options, &[7; 32]).unwrap());
    let alice = Person::register(&store, "alice", 1).await;
    let bob = Person::register(&store, "bob", 1).await;
    let accepted = rows(alice.devices[0].send(&store, 1, &bob, "x").await);
    assert_eq!(store.ready().await, Ok(()));
    disk.0.store(499_999, Ordering::Relaxed);
    assert_eq!(store.ready().await, Err(StoreError::DiskFull));
    let send = || store.accept(alice.devices[0].accept(2, bob.id, vec![bob.devices[0].copy("x")]), NOW);
    assert_eq!(send().await, Err(StoreError::DiskFull));
    let keys = vec![one_time(1)];
    let upload = || store.upload_prekeys(bob.devices[0].address, KeyEpoch(1), keys.clone(), None);
    assert_eq!(upload().await, Err(StoreError::DiskFull));
    assert_eq!(store.create_account(Person::new("carol").new_account(), NOW).await, Err(StoreError::DiskFull));
    assert_eq!(alice.devices[0].send(&store, 1, &bob, "x").await, AcceptOutcome::AlreadyAccepted);
    assert_eq!(bob.devices[0].ack(&store, &accepted).await, Some(1));
    assert_eq!(bob.devices[0].waiting(&store).await, []);
    disk.0.store(1_000_000, Ordering::Relaxed);
    rows(send().await.unwrap());
    upload().await.unwrap();
}

/// What the database itself refuses is rolled back, and its neighbours in the same commit are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_full_refuses_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { reserve_bytes: 0, pages_max: Some(400), ..EmbeddedOptions::default() };
    let store = Arc::new(EmbeddedStore::open(&folder.path().join("data"), &options, &[7; 32]).unwrap());
    let shared: S = store.clone();
    let alice = Person::register(&shared, "alice", 1).await;
    let bob = Arc::new(Person::register(&shared, "bob", 1).await);
    let text = "x".repeat(20_000);
    let mut sends = Vec::new();
    for number in 1..=200 {
        let (store, device, bob, text) = (shared.clone(), alice.devices[0].clone(), bob.clone(), text.clone());
        sends.push(tokio::spawn(async move {
            let copies = vec![bob.devices[0].copy(&text)];
            (number, store.accept(device.accept(number, bob.id, copies), NOW).await)
        }));
    }
    let (mut accepted, mut full) = (Vec::new(), Vec::new());
    for send in sends {
        match send.await.unwrap() {
            (number, Ok(AcceptOutcome::Accepted { .. })) => accepted.push(number),
            (number, Err(StoreError::DiskFull)) => full.push(number),
            other => panic!("{other:?}"),
        }
    }
    assert!(!accepted.is_empty() && !full.is_empty(), "{} accepted, {} refused", accepted.len(), full.len());
    accepted.sort_unstable();
    let mut waiting: Vec<_> = bob.devices[0].texts(&shared).await.into_iter().map(|(_, number, _)| number).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, accepted);
    let ids: Vec<_> = bob.devices[0].waiting(&shared).await.iter().map(|item| item.id()).collect();
    assert_eq!(bob.devices[0].ack(&shared, &ids).await, Some(accepted.len() as u64));
    rows(alice.devices[0].send(&shared, full[0], &bob, "the number was not used").await);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

/// Between two copies of one message the database is full: none of them stays, and a retry reaches every device once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_27_a_failure_between_two_copies_leaves_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { reserve_bytes: 0, pages_max: Some(400), ..EmbeddedOptions::default() };
    let store = Arc::new(EmbeddedStore::open(&folder.path().join("data"), &options, &[7; 32]).unwrap());
    let shared: S = store.clone();
    let alice = Person::register(&shared, "alice", 1).await;
    let bob = Person::register(&shared, "bob", 5).await;
    let text = "x".repeat(40_000);
    let send = async |number| {
        let copies = bob.devices.iter().map(|device| device.copy(&text)).collect();
        shared.accept(alice.devices[0].accept(number, bob.id, copies), NOW).await
    };
    let mut accepted = 0;
    while let Ok(outcome) = send(accepted + 1).await {
        assert_eq!(rows(outcome).len(), 5);
        accepted += 1;
    }
    assert!(accepted > 0);
    let numbers = async |device: usize| {
        let texts = bob.devices[device].texts(&shared).await.into_iter();
        texts.map(|(_, number, _)| number).collect::<Vec<u64>>()
    };
    for device in 0..5 {
        assert_eq!(numbers(device).await, (1..=accepted).collect::<Vec<_>>(), "device {}", device + 1);
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    for device in &bob.devices {
        let ids: Vec<_> = device.waiting(&shared).await.iter().map(|item| item.id()).collect();
        device.ack(&shared, &ids).await.unwrap();
    }
    assert_eq!(rows(send(accepted + 1).await.unwrap()).len(), 5);
    for device in 0..5 {
        assert_eq!(numbers(device).await, [accepted + 1]);
    }
}

/// The child: says `accepted N` for each answer, until a limit on file sizes makes a write fail.
fn write_until_an_error(path: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
        let store = Arc::new(EmbeddedStore::open(path, &options, &[7; 32]).unwrap());
        let shared: S = store.clone();
        let alice = Person::register(&shared, "alice", 1).await;
        let bob = Person::register(&shared, "bob", 1).await;
        for number in 1.. {
            if number == 20 {
                let limit = rustix::process::Rlimit { current: Some(1), maximum: None };
                rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
            }
            let copies = vec![bob.devices[0].copy("x")];
            match shared.accept(alice.devices[0].accept(number, bob.id, copies), NOW).await {
                Ok(AcceptOutcome::Accepted { .. }) => assert!(number < 20, "accepted what could not be written"),
                Err(StoreError::Stopped(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        let unlimited = rustix::process::Rlimit { current: None, maximum: None };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, unlimited).unwrap();
        // Writing would succeed again, but nobody knows what the disk holds.
        let copies = vec![bob.devices[0].copy("x")];
        let after = shared.accept(alice.devices[0].accept(30, bob.id, copies), NOW).await;
        assert!(matches!(after, Err(StoreError::Stopped(_))), "{after:?}");
        assert!(matches!(shared.ready().await, Err(StoreError::Stopped(_))));
        assert!(matches!(shared.account(bob.id).await, Err(StoreError::Stopped(_))));
        assert!(store.stopped().await.contains("could not be made durable"));
    });
}

/// After a write error nothing is accepted any more, even if the next write would succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_error_stops_the_store_for_good() {
    const FOLDER: &str = "SEALPOST_TEST_WRITE_ERROR";
    if let Some(path) = std::env::var_os(FOLDER) {
        return tokio::task::spawn_blocking(move || write_until_an_error(Path::new(&path))).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    // An ignored signal stays ignored across `exec`, so that the limit gives an error instead of death.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::disk::a_write_error_stops_the_store_for_good", "--nocapture"])
        .env(FOLDER, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stdout));
    let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
    let again = EmbeddedStore::open(&path, &options, &[7; 32]).unwrap();
    assert_eq!(again.verify().await.unwrap(), Vec::<String>::new());
    let bob = again.account_by_name(&Person::new("bob").name).await.unwrap().unwrap();
    let devices = again.devices(bob.id).await.unwrap().unwrap();
    assert_eq!(devices[0].queued_messages, 19, "what was accepted is there");
}
