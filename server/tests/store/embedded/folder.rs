use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealpost_server::store::Store;
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore, OpenError};

use crate::world::{Person, S};

fn open(path: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(path, &EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() }, &[7; 32])
}

/// A folder with a closed store of one account, and its database.
async fn a_closed_store() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store: S = Arc::new(open(&path).unwrap());
    Person::register(&store, "alice", 2).await;
    store.close().await;
    let database = path.join("sealpost.db");
    (folder, path, database)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_in_the_folder_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/data");
    let store: S = Arc::new(open(&path).unwrap());
    Person::register(&store, "alice", 1).await;
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "database, log, its index and the lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_while_the_first_lives() {
    let (_folder, path, _) = a_closed_store().await;
    let first = open(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another process uses the data folder"));
    first.close().await;
    open(&path).unwrap();
}

#[tokio::test]
async fn looser_modes_are_refused_and_the_error_says_what_to_do() {
    let (_folder, path, database) = a_closed_store().await;
    for (target, loose, strict) in [(&path, 0o750, 0o700), (&database, 0o640, 0o600)] {
        fs::set_permissions(target, fs::Permissions::from_mode(loose)).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::LooseMode { .. }), "{refused}");
        assert!(refused.to_string().contains(&format!("chmod {strict:03o} ")), "{refused}");
        fs::set_permissions(target, fs::Permissions::from_mode(strict)).unwrap();
    }
    open(&path).unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_not_changed() {
    let (_folder, path, database) = a_closed_store().await;
    let whole = fs::read(&database).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    let garbage: Vec<u8> = (0..whole.len()).map(|at| (at * 7 + at / 256) as u8).collect();
    let mut foreign = whole.clone();
    foreign[68..72].copy_from_slice(&[0; 4]);
    for (damaged, case) in [
        (Vec::new(), "empty"),
        (whole[..50].to_vec(), "half a header"),
        (half, "half of it"),
        (garbage, "garbage"),
        (foreign, "another program's database"),
    ] {
        fs::write(&database, &damaged).unwrap();
        let refused = open(&path);
        assert!(matches!(refused, Err(OpenError::Damaged { .. } | OpenError::Database(_))), "{case}: {refused:?}");
        assert_eq!(fs::read(&database).unwrap(), damaged, "{case}");
    }
    fs::write(&database, &whole).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_newer_database_is_refused_and_not_changed() {
    let (_folder, path, database) = a_closed_store().await;
    let newest = EmbeddedStore::schema_status(&path).unwrap();
    assert_eq!(newest.current, newest.newest);
    let mut newer = fs::read(&database).unwrap();
    newer[60..64].copy_from_slice(&u32::try_from(newest.newest + 1).unwrap().to_be_bytes());
    fs::write(&database, &newer).unwrap();
    for refused in [open(&path).unwrap_err(), EmbeddedStore::schema_status(&path).unwrap_err()] {
        assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");
    }
    assert_eq!(fs::read(&database).unwrap(), newer);
}

#[tokio::test]
async fn a_log_without_its_database_is_not_taken_for_a_new_folder() {
    let (_folder, path, database) = a_closed_store().await;
    fs::remove_file(&database).unwrap();
    fs::write(path.join("sealpost.db-wal"), b"the log").unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn a_first_start_that_was_interrupted_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    drop(open(&path).unwrap());
    fs::rename(path.join("sealpost.db"), path.join("sealpost.db.new")).unwrap();
    fs::write(path.join("sealpost.db.new"), b"half written").unwrap();
    let store = open(&path).unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    assert!(!path.join("sealpost.db.new").exists());
}

#[tokio::test]
async fn verify_names_what_cannot_be_true() {
    let (_folder, path, database) = a_closed_store().await;
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("UPDATE devices SET queue_messages = 3 WHERE dev = 1; DELETE FROM device_lists").unwrap();
    drop(connection);
    let findings = open(&path).unwrap().verify().await.unwrap();
    assert!(findings.iter().any(|finding| finding.contains("counters")), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.contains("no current device list")), "{findings:?}");
}
