use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealpost_api::ids::{KeyEpoch, RefreshTokenHash};
use sealpost_crypto::DeviceAddress;
use sealpost_server::operate::maintenance;
use sealpost_server::operate::maintenance::{BackupArgs, RestoreArgs, VerifyArgs};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore, OpenError, inspect};
use sealpost_server::store::{RotateRefreshToken, UploadPrekeys};

use crate::world::{NOW, Person, S, fresh, one_time};

/// A data folder as a server leaves it, and a place for backups.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        drop(place.open());
        fs::write(place.data().join("retired_names.key"), "a key").unwrap();
        fs::set_permissions(place.data().join("retired_names.key"), fs::Permissions::from_mode(0o600)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn open(&self) -> S {
        Arc::new(try_open(&self.data()).unwrap())
    }

    fn back_up(&self, name: &str) -> anyhow::Result<()> {
        maintenance::backup(&BackupArgs { data: Some(self.data()), to: self.path(name), json: true })
    }

    fn restore(&self, name: &str, data: &Path, replace: bool) -> anyhow::Result<()> {
        let args = RestoreArgs { from: self.path(name), data: Some(data.to_owned()), replace, json: true };
        // It has a runtime of its own, as the command has.
        std::thread::spawn(move || maintenance::restore(&args)).join().unwrap()
    }

    fn verify(&self, backup: Option<&str>) -> anyhow::Result<()> {
        let from = backup.map(|name| self.path(name));
        maintenance::verify(&VerifyArgs { data: Some(self.data()), from, json: true })
    }
}

fn try_open(path: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(path, &EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() }, &fresh())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn epoch(store: &S, address: DeviceAddress) -> KeyEpoch {
    store.device(address).await.unwrap().unwrap().key_epoch
}

async fn take(store: &S, address: DeviceAddress) -> Option<u32> {
    let bundle = store.take_bundle(address.account, address.device, true, NOW).await.unwrap().unwrap();
    bundle.one_time_prekey.map(|key| key.id.0)
}

async fn take_ten(store: &S, address: DeviceAddress) -> Vec<u32> {
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken.extend(take(store, address).await);
    }
    taken
}

#[tokio::test]
async fn threat_5_no_one_time_prekey_is_given_again_after_a_restore() {
    let place = Place::new();
    let store = place.open();
    let address = Person::register(&store, "alice", 1).await.devices[0].address;
    let before = epoch(&store, address).await;
    let keys: Vec<_> = (1..=20).map(one_time).collect();
    assert_eq!(store.upload_prekeys(address, before, keys.clone(), None).await.unwrap(), UploadPrekeys::Stored);
    place.back_up("backup").unwrap();
    let taken = take_ten(&store, address).await;
    assert_eq!(taken, (1..=10).collect::<Vec<_>>());
    store.close().await;

    place.restore("backup", &place.data(), true).unwrap();
    let store = place.open();
    let again = take_ten(&store, address).await;
    assert!(again.iter().all(|id| !taken.contains(id)), "given twice: {again:?}");
    // A client that does not know of the restore repeats its upload: nothing of it is taken.
    let stale = store.upload_prekeys(address, before, keys, None).await.unwrap();
    assert_eq!(stale, UploadPrekeys::KeyEpochConflict);
    assert_eq!(take(&store, address).await, None);
    let now = epoch(&store, address).await;
    assert!(now > before);
    let new: Vec<_> = (21..=30).map(one_time).collect();
    assert_eq!(store.upload_prekeys(address, now, new, None).await.unwrap(), UploadPrekeys::Stored);
    assert_eq!(take(&store, address).await, Some(21));
}

#[tokio::test]
async fn two_restores_of_one_backup_lead_to_different_key_epochs_and_stores() {
    let place = Place::new();
    let store = place.open();
    let address = Person::register(&store, "alice", 1).await.devices[0].address;
    let mut seen = vec![(store.store_id(), epoch(&store, address).await)];
    place.back_up("backup").unwrap();
    for name in ["first", "second"] {
        place.restore("backup", &place.path(name), false).unwrap();
        let store: S = Arc::new(try_open(&place.path(name)).unwrap());
        let now = (store.store_id(), epoch(&store, address).await);
        assert!(seen.iter().all(|(id, epoch)| *id != now.0 && *epoch != now.1), "{seen:?} {now:?}");
        assert_eq!(store.server_id(), place_server_id(&place));
        seen.push(now);
    }
    drop(store);
}

fn place_server_id(place: &Place) -> sealpost_api::ids::ServerId {
    let database = rusqlite::Connection::open(place.data().join("sealpost.db")).unwrap();
    let bytes = database.query_row("SELECT value FROM meta WHERE key = 'server_id'", [], |row| row.get(0)).unwrap();
    sealpost_api::ids::ServerId::from_bytes(bytes)
}

#[tokio::test]
async fn threat_63_who_logged_out_after_the_backup_stays_logged_out() {
    let place = Place::new();
    fs::write(place.data().join("token_keys.json"), "{\"keys\":[]}").unwrap();
    let store = place.open();
    let alice = Person::register(&store, "alice", 2).await;
    let (left, stayed) = (&alice.devices[0], &alice.devices[1]);
    place.back_up("backup").unwrap();
    assert!(store.end_session(alice.id, left.session).await.unwrap());
    store.close().await;
    let keys = fs::read(place.data().join("token_keys.json")).unwrap();

    place.restore("backup", &place.data(), true).unwrap();
    assert_ne!(fs::read(place.data().join("token_keys.json")).unwrap(), keys, "old access tokens are signed by no key");
    assert!(!names(&place.path("backup")).contains(&"token_keys.json".to_owned()));
    let store = place.open();
    for device in [left, stayed] {
        let next = RefreshTokenHash::from_bytes(fresh());
        let refreshed = store.rotate_refresh_token(device.session, device.refresh_hash, next, NOW).await.unwrap();
        assert_eq!(refreshed, RotateRefreshToken::Unknown);
        assert_eq!(store.session(device.session).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_backup_made_while_messages_come_in_is_whole_and_holds_what_was_accepted_before_it() {
    let place = Place::new();
    let store = place.open();
    let (alice, bob) = (Person::register(&store, "alice", 1).await, Person::register(&store, "bob", 1).await);
    for number in 1..=50 {
        alice.devices[0].send(&store, number, &bob, &format!("message {number}")).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn({
        let (store, done, from, bob) = (store.clone(), Arc::clone(&done), alice.devices[0].clone(), bob);
        async move {
            let mut number = 50;
            while !done.load(Ordering::Acquire) {
                number += 1;
                from.send(&store, number, &bob, &"x".repeat(10_000)).await;
            }
            (number, bob)
        }
    });
    let place = tokio::task::spawn_blocking(move || {
        place.back_up("backup").unwrap();
        place
    })
    .await
    .unwrap();
    done.store(true, Ordering::Release);
    let (last, bob) = sending.await.unwrap();
    assert_eq!(bob.devices[0].texts(&store).await.len() as u64, last, "the server went on, and lost nothing");
    place.verify(Some("backup")).unwrap();
    place.restore("backup", &place.path("other"), false).unwrap();
    let restored: S = Arc::new(try_open(&place.path("other")).unwrap());
    let texts = bob.devices[0].texts(&restored).await;
    assert!(texts.len() >= 50);
    assert!(texts.iter().zip(1..).all(|((_, number, _), wanted)| *number == wanted), "a prefix, without a gap");
}

#[tokio::test]
async fn a_backup_is_for_its_owner_alone_and_has_nothing_beside_what_it_names() {
    let place = Place::new();
    fs::create_dir(place.data().join("tls")).unwrap();
    fs::write(place.data().join("tls/ca.key"), "key").unwrap();
    fs::set_permissions(place.data().join("tls"), fs::Permissions::from_mode(0o700)).unwrap();
    place.back_up("backup").unwrap();
    let backup = place.path("backup");
    assert_eq!(names(&backup), ["manifest.json", "retired_names.key", "sealpost.db", "tls"]);
    assert_eq!(names(place.folder.path()), ["backup", "data"], "nothing unfinished is left");
    let mode = |name: &str| fs::metadata(backup.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("tls")], [0o700; 2]);
    for file in ["manifest.json", "retired_names.key", "sealpost.db", "tls/ca.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let refused = place.back_up("backup").unwrap_err().to_string();
    assert!(refused.contains("is a backup already"), "{refused}");
    fs::create_dir(place.path("backups")).unwrap();
    place.back_up("backups").unwrap();
    let made = names(&place.path("backups"));
    assert!(matches!(made.as_slice(), [name] if name.starts_with("sealpost-backup-")), "{made:?}");
}

#[tokio::test]
async fn a_changed_backup_is_not_restored_and_nothing_is_touched() {
    let place = Place::new();
    place.back_up("backup").unwrap();
    let file = place.path("backup").join("retired_names.key");
    fs::write(&file, "b key").unwrap();
    assert!(place.verify(Some("backup")).is_err());
    let refused = place.restore("backup", &place.path("other"), false).unwrap_err().to_string();
    assert!(refused.contains("retired_names.key differs"), "{refused}");
    assert!(!place.path("other").exists());
    fs::remove_file(place.path("backup").join("manifest.json")).unwrap();
    let refused = place.restore("backup", &place.path("other"), false).unwrap_err().to_string();
    assert!(refused.contains("no finished backup"), "{refused}");
}

#[tokio::test]
async fn a_restore_needs_an_empty_folder_or_a_yes_and_no_server() {
    let place = Place::new();
    place.back_up("backup").unwrap();
    let data = place.data();
    let refused = place.restore("backup", &data, false).unwrap_err().to_string();
    assert!(refused.contains("--replace"), "{refused}");
    let store = place.open();
    let refused = place.restore("backup", &data, true).unwrap_err().to_string();
    assert!(refused.contains("another process uses"), "{refused}");
    store.close().await;
    let former = fs::read(data.join("sealpost.db")).unwrap();
    place.restore("backup", &data, true).unwrap();
    let kept = names(&data).into_iter().find(|name| name.starts_with("replaced-")).unwrap();
    assert_eq!(fs::read(data.join(kept).join("sealpost.db")).unwrap(), former);
    place.verify(None).unwrap();
    drop(place.open());
}

#[tokio::test]
async fn an_interrupted_restore_is_begun_again_and_never_served() {
    let place = Place::new();
    place.back_up("backup").unwrap();
    let data = place.path("other");
    place.restore("backup", &data, false).unwrap();
    // As a crash before the last step leaves it.
    fs::create_dir(data.join("restoring")).unwrap();
    fs::rename(data.join("sealpost.db"), data.join("restoring/sealpost.db")).unwrap();
    let refused = try_open(&data).unwrap_err();
    assert!(matches!(refused, OpenError::Restoring { .. }) && refused.to_string().contains("restore"), "{refused}");
    assert!(!data.join("sealpost.db").exists(), "no new database was made");
    place.restore("backup", &data, true).unwrap();
    drop(try_open(&data).unwrap());
}

/// A restore that fails, or is killed, before it has touched anything leaves a folder that is served as before.
#[tokio::test]
async fn a_restore_that_ends_before_anything_was_moved_stands_in_nobodys_way() {
    let place = Place::new();
    place.back_up("backup").unwrap();
    // The copy of this one fails in the middle.
    let manifest = place.path("backup").join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let entry = &text[text.find("{\n      \"name\": \"sealpost.db\"").unwrap()..];
    let entry = &entry[..=entry.find('}').unwrap()];
    fs::write(&manifest, text.replace(entry, &format!("{entry},{entry}"))).unwrap();
    let refused = format!("{:#}", place.restore("backup", &place.data(), true).unwrap_err());
    assert!(refused.contains("cannot copy"), "{refused}");
    let store = place.open();
    Person::register(&store, "alice", 1).await;
    store.close().await;
    // A killed one leaves its copy; the next one removes it.
    fs::write(&manifest, text).unwrap();
    fs::create_dir(place.data().join("restoring.unfinished")).unwrap();
    fs::write(place.data().join("restoring.unfinished/sealpost.db"), "half of it").unwrap();
    drop(place.open());
    place.restore("backup", &place.data(), true).unwrap();
    assert!(!names(&place.data()).iter().any(|name| name.starts_with("restoring")));
    drop(place.open());
}

#[tokio::test]
async fn a_backup_that_names_no_database_is_not_restored_as_an_empty_one() {
    let place = Place::new();
    place.back_up("backup").unwrap();
    let manifest = place.path("backup").join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for name in ["sealpost.db", "retired_names.key"] {
        let mut without: serde_json::Value = serde_json::from_str(&text).unwrap();
        without["files"].as_array_mut().unwrap().retain(|entry| entry["name"] != name);
        fs::write(&manifest, without.to_string()).unwrap();
        let refused = place.restore("backup", &place.path("other"), false).unwrap_err().to_string();
        assert!(refused.contains(&format!("{name} is not among its files")), "{refused}");
        assert!(place.verify(Some("backup")).is_err());
        assert!(!place.path("other").exists());
    }
}

#[tokio::test]
async fn a_second_backup_to_the_same_place_leaves_the_first_alone() {
    let place = Place::new();
    // As another process holds it while it makes its own.
    fs::create_dir(place.path("backup.unfinished")).unwrap();
    fs::write(place.path("backup.unfinished/sealpost.db"), "half of it").unwrap();
    let held = fs::File::open(place.path("backup.unfinished")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let refused = place.back_up("backup").unwrap_err().to_string();
    assert!(refused.contains("another backup"), "{refused}");
    assert_eq!(names(&place.path("backup.unfinished")), ["sealpost.db"]);
    drop(held);
    place.back_up("backup").unwrap();
    place.verify(Some("backup")).unwrap();
    assert_eq!(names(place.folder.path()), ["backup", "data"]);
}

/// A page in the middle of the messages is overwritten, as a failing disk does it.
#[tokio::test]
async fn a_damaged_database_is_reported_with_what_can_be_read_and_left_as_it_is() {
    let place = Place::new();
    let store = place.open();
    let (alice, bob) = (Person::register(&store, "alice", 1).await, Person::register(&store, "bob", 1).await);
    for number in 1..=200 {
        alice.devices[0].send(&store, number, &bob, &"x".repeat(3_000)).await;
    }
    store.close().await;
    let database = place.data().join("sealpost.db");
    let rows = |name: &str| {
        let tables = inspect(&database).unwrap().tables;
        tables.into_iter().find(|table| table.table == name).unwrap()
    };
    assert_eq!((rows("queue").readable_rows, rows("queue").whole), (200, true));
    place.verify(None).unwrap();
    let pages = fs::metadata(&database).unwrap().len() / 4_096;
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.write_all_at(&[0xa5; 4_096], (pages - 60) * 4_096).unwrap();
    let damaged = fs::read(&database).unwrap();

    let report = inspect(&database).unwrap();
    assert!(!report.findings.is_empty());
    let queue = rows("queue");
    assert!(!queue.whole && (150..200).contains(&queue.readable_rows), "{queue:?}");
    assert_eq!((rows("accounts").readable_rows, rows("accounts").whole), (2, true));
    let refused = place.verify(None).unwrap_err().to_string();
    assert!(refused.contains("is damaged; nothing was changed"), "{refused}");
    let refused = place.back_up("backup").unwrap_err().to_string();
    assert!(refused.contains("damaged") && !place.path("backup").exists(), "{refused}");
    let refused = try_open(&place.data()).unwrap_err().to_string();
    assert!(refused.contains("sealpost-server verify") && refused.contains("sealpost-server restore"), "{refused}");
    assert_eq!(fs::read(&database).unwrap(), damaged);
}
