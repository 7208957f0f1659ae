use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealpost_crypto::OneTimePrekey;
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};

use crate::world::{NOW, Person, S, one_time, rows};
use sealpost_harness::scan::Canaries;

/// Far longer than a reader is in the way.
const PATIENCE: Duration = Duration::from_secs(30);

fn open(path: &Path) -> S {
    let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
    Arc::new(EmbeddedStore::open(path, &options, &[7; 32]).unwrap())
}

/// What is known of a person: name, keys, and the messages that wait for or came from it.
fn canaries(person: &Person, one_time: &[OneTimePrekey], texts: &[String]) -> Canaries {
    let mut canaries = vec![
        ("the name".to_owned(), person.name.as_str().as_bytes().to_vec()),
        ("the account's identity key".to_owned(), person.keys.public().as_bytes().to_vec()),
    ];
    for device in &person.devices {
        canaries.push(("a device's identity key".to_owned(), device.entry.identity.as_bytes().to_vec()));
        canaries.push(("a session".to_owned(), device.session.as_bytes().to_vec()));
        canaries.push(("a refresh token's hash".to_owned(), device.refresh_hash.as_bytes().to_vec()));
    }
    canaries.extend(one_time.iter().map(|key| ("a one-time prekey".to_owned(), key.key.as_bytes().to_vec())));
    canaries.extend(texts.iter().map(|text| (format!("\"{text}\""), text.as_bytes().to_vec())));
    Canaries::new(canaries).unwrap()
}

#[tokio::test]
async fn of_an_erased_account_nothing_is_left_in_the_database_or_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = open(&path);
    let (erased, other) =
        (Person::register(&store, "erased_account", 2).await, Person::register(&store, "somebody", 1).await);
    let address = erased.devices[0].address;
    let epoch = store.device(address).await.unwrap().unwrap().key_epoch;
    let keys: Vec<_> = (1..=100).map(one_time).collect();
    store.upload_prekeys(address, epoch, keys.clone(), None).await.unwrap();
    let mut texts = Vec::new();
    for number in 1..=300 {
        let text = format!("ciphertext {number} for the erased account {}", "x".repeat(number as usize * 7));
        other.devices[0].send(&store, number, &erased, &text).await;
        texts.push(format!("ciphertext {number} for the erased account"));
    }
    // Messages of its own that were read before, and one that still waits: that one is somebody else's now.
    for number in 1..=100 {
        let text = format!("ciphertext {number} of the erased account");
        let ids = rows(erased.devices[0].send(&store, number, &other, &text).await);
        other.devices[0].ack(&store, &ids).await;
        texts.push(text);
    }
    erased.devices[0].send(&store, 101, &other, "accepted for somebody else").await;
    let canaries = canaries(&erased, &keys, &texts);
    assert!(canaries.len() > 500);
    assert!(canaries.found_below(&path).unwrap().len() > 400, "the search finds what is there");

    // A reader is in the way for a moment; the log is emptied nevertheless.
    let reader = rusqlite::Connection::open(path.join("sealpost.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    reader.query_row("SELECT count(*) FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap();
    store.delete_account(erased.id, [9; 32], NOW).await.unwrap().unwrap();
    reader.execute_batch("COMMIT").unwrap();
    let begin = Instant::now();
    let log = path.join("sealpost.db-wal");
    while fs::metadata(&log).unwrap().len() > 0 {
        assert!(begin.elapsed() < PATIENCE, "the log was not emptied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(canaries.found_below(&path).unwrap(), Vec::<String>::new());
    assert_eq!(other.devices[0].texts(&store).await.len(), 1, "what was accepted for others stays");
    assert_eq!(store.device(other.devices[0].address).await.unwrap().unwrap().queued_messages, 1);
}

#[tokio::test]
async fn the_log_is_empty_when_the_erasure_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = open(&path);
    let alice = Person::register(&store, "alice", 1).await;
    assert!(fs::metadata(path.join("sealpost.db-wal")).unwrap().len() > 0);
    store.delete_account(alice.id, [9; 32], NOW).await.unwrap().unwrap();
    assert_eq!(fs::metadata(path.join("sealpost.db-wal")).unwrap().len(), 0);
}

/// A backup reads for minutes; the log cannot be emptied so long, and nobody who sends has to wait for each try.
#[tokio::test]
async fn while_a_reader_keeps_the_log_others_do_not_wait_for_an_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = open(&path);
    let (erased, alice) = (Person::register(&store, "erased", 1).await, Person::register(&store, "alice", 1).await);
    let bob = Person::register(&store, "bob", 1).await;
    let mut number = 0;
    let mut fifty = async || {
        let begin = Instant::now();
        for _ in 0..50 {
            number += 1;
            alice.devices[0].send(&store, number, &bob, "a message").await;
        }
        begin.elapsed()
    };
    let before = fifty().await;
    let reader = rusqlite::Connection::open(path.join("sealpost.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    reader.query_row("SELECT count(*) FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap();
    store.delete_account(erased.id, [9; 32], NOW).await.unwrap().unwrap();
    let meanwhile = fifty().await;
    // Fifty tries of a tenth of a second each are five seconds.
    assert!(meanwhile < before * 2 + Duration::from_millis(2_500), "{before:?} {meanwhile:?}");
    reader.execute_batch("COMMIT").unwrap();
}

/// The server may be killed while a reader keeps the log; the next start forgets what the log still holds.
#[tokio::test]
async fn what_a_killed_server_left_in_the_log_is_gone_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let store = open(&path);
    let alice = Person::register(&store, "erased_account", 1).await;
    let reader = rusqlite::Connection::open(path.join("sealpost.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    reader.query_row("SELECT count(*) FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap();
    store.delete_account(alice.id, [9; 32], NOW).await.unwrap().unwrap();
    // The files as a kill leaves them.
    fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
    for name in ["sealpost.db", "sealpost.db-wal"] {
        fs::copy(path.join(name), copy.join(name)).unwrap();
    }
    let canaries = canaries(&alice, &[], &[]);
    assert!(!canaries.found_below(&copy).unwrap().is_empty(), "the search finds what is there");
    // A backup is on its way already; the log is emptied when it is done.
    let backup = rusqlite::Connection::open(copy.join("sealpost.db")).unwrap();
    backup.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    backup.query_row("SELECT count(*) FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap();
    let again = open(&copy);
    backup.execute_batch("COMMIT").unwrap();
    let begin = Instant::now();
    while !canaries.found_below(&copy).unwrap().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the log was not emptied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.close().await;
    reader.execute_batch("COMMIT").unwrap();
}

/// A column without a line in the table would be kept without a reason, and a line without a column would say too much.
#[tokio::test]
async fn everything_that_the_server_keeps_has_its_line_in_the_documentation() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
    let section = text.split("\n## What the server keeps\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut documented: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| {
            let mut cells = line.split('|').skip(1);
            let (table, columns) = (cells.next().unwrap().trim().trim_matches('`'), cells.next().unwrap());
            assert!(cells.all(|cell| line.ends_with(cell) || cell.trim().len() > 2), "an empty cell: {line}");
            columns.split(',').map(|column| format!("{table}.{}", column.trim().trim_matches('`'))).collect::<Vec<_>>()
        })
        .collect();
    documented.sort();
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("data"));
    store.close().await;
    let database = rusqlite::Connection::open(folder.path().join("data/sealpost.db")).unwrap();
    let mut select = database
        .prepare(
            "SELECT m.name || '.' || c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1",
        )
        .unwrap();
    let columns: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(documented, columns);
}
