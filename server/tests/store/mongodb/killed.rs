//! The database's process is killed while messages are accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sealpost_server::store::{AcceptOutcome, StoreError};

use crate::mongodb::support::{any, open};
use crate::world::{NOW, Person, size};
use sealpost_harness::database::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_accepted_is_lost_or_doubled_when_the_database_is_killed() {
    const SENDERS: usize = 8;
    // `SEALPOST_DATABASE_KILLS=100` is the long form.
    let kills = size("SEALPOST_DATABASE_KILLS", 3) as u64;
    let folder = tempfile::tempdir().unwrap();
    let first = Database::start(folder.path(), 0).unwrap();
    let listens = first.address().to_owned();
    let port = listens.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut database = Some(first);
    let address = format!("mongodb://{listens}/sealpost?serverSelectionTimeoutMS=1000");
    let store = open(&address, 1).await;
    let s = any(&store);
    let bob = Arc::new(Person::register(&s, "bob", 2).await);
    let stop = Arc::new(AtomicBool::new(false));
    let (accepted, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for sender in 0..SENDERS {
        let person = Person::register(&s, &format!("sender{sender}"), 1).await;
        let (s, bob) = (s.clone(), Arc::clone(&bob));
        let (stop, accepted, unknown) = (Arc::clone(&stop), Arc::clone(&accepted), Arc::clone(&unknown));
        tasks.push(tokio::spawn(async move {
            let device = &person.devices[0];
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let text = format!("{sender} {number}");
                let copies: Vec<_> = bob.devices.iter().map(|to| to.copy(&text)).collect();
                // Repeated as it was, until there is an answer.
                loop {
                    let accept = device.accept(number, bob.id, copies.clone());
                    match s.accept(accept, NOW).await {
                        Ok(AcceptOutcome::Accepted { .. } | AcceptOutcome::AlreadyAccepted) => break,
                        Err(StoreError::Unavailable(_)) => drop(unknown.fetch_add(1, Ordering::Relaxed)),
                        other => panic!("{other:?}"),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            (device.address, number)
        }));
    }
    for round in 1..=kills {
        // Some more are accepted each time: it recovers by itself.
        while accepted.load(Ordering::Relaxed) < round * 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(database.take());
        // Nothing is accepted meanwhile, and the senders are told.
        let before = unknown.load(Ordering::Relaxed);
        while unknown.load(Ordering::Relaxed) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let folder = folder.path().to_owned();
        let again = tokio::task::spawn_blocking(move || Database::start(&folder, port).unwrap()).await.unwrap();
        assert_eq!(again.address(), listens);
        database = Some(again);
    }
    while accepted.load(Ordering::Relaxed) < (kills + 1) * 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = BTreeMap::new();
    for task in tasks {
        let (from, number) = task.await.unwrap();
        sent.insert(from, number);
    }
    for device in &bob.devices {
        let mut got: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for (from, number, _) in device.texts(&s).await {
            got.entry(from).or_default().push(number);
        }
        for (from, highest) in &sent {
            assert!(got[from].iter().copied().eq(1..=*highest), "each once and in order: {:?}", got[from]);
        }
    }
}
