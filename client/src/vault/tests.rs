//! The vault as its owner uses it, as a thief finds it, and as a bad disk leaves it.

mod damage;
mod keyring;
mod layers;
mod model;
mod modes;
mod secrecy;
mod unguarded;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{KdfParameters, Log, Table, Vault, VaultError, VaultKeySource, VaultTransaction};

/// The lowest cost that Argon2 takes: these tests are not about it.
const CHEAP: KdfParameters = KdfParameters { memory_kib: 8, passes: 1, lanes: 1 };

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile/vault.db");
        Self { _folder: folder, path }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }

    fn journal(&self) -> PathBuf {
        self.folder().join("vault.db-wal")
    }

    fn create(&self) -> Vault {
        Vault::create_with(&self.path, &passphrase("correct horse"), CHEAP).unwrap()
    }

    fn open(&self) -> Result<Vault, VaultError> {
        Vault::open(&self.path, &passphrase("correct horse"))
    }

    /// Changes the file as somebody could who has no key.
    fn tamper(&self, sql: &str) {
        rusqlite::Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    /// Returns every byte of every file in the folder.
    fn all_bytes(&self) -> Vec<u8> {
        fs::read_dir(self.folder()).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

fn passphrase(text: &str) -> VaultKeySource {
    VaultKeySource::Passphrase(Zeroizing::new(text.to_owned()))
}

/// Writes a file as its owner's programs do.
fn write_private(path: &Path, bytes: &[u8]) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap().write_all(bytes).unwrap();
}

fn with<T>(vault: &mut Vault, body: impl FnOnce(&mut dyn VaultTransaction) -> Result<T, VaultError>) -> T {
    vault.transaction(body).unwrap()
}

fn fill(vault: &mut Vault) {
    with(vault, |vault| {
        for index in 0..40_u32 {
            vault.put(Table::Session, &index.to_be_bytes(), &[7; 300])?;
            vault.append(Log::History, &[8; 300])?;
        }
        vault.put(Table::Meta, b"account", b"alice")
    });
}

/// Reads all that [`fill`] wrote.
fn read_all(vault: &mut Vault) -> Result<(), VaultError> {
    vault.transaction(|vault| {
        assert_eq!(vault.entries(Table::Session)?.len(), 40);
        assert_eq!(vault.read(Log::History, 0, 100)?.len(), 40);
        assert_eq!(vault.get(Table::Meta, b"account")?.unwrap().as_slice(), b"alice");
        Ok(())
    })
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let place = Place::new();
    fill(&mut place.create());
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn what_was_committed_is_there_after_a_crash_that_left_only_the_journal() {
    let (place, after) = (Place::new(), Place::new());
    let mut vault = place.create();
    fill(&mut vault);
    // A killed process leaves the files as they are, with nothing closed.
    files_of(&place, &after);
    assert!(fs::metadata(after.journal()).unwrap().len() > 0, "the journal was written back, so this shows nothing");
    drop(vault);
    read_all(&mut after.open().unwrap()).unwrap();
}

fn files_of(from: &Place, to: &Place) {
    super::files::modes::private_folder(&to.path).unwrap();
    fs::copy(&from.path, &to.path).unwrap();
    fs::copy(from.journal(), to.journal()).unwrap();
}

#[test]
fn a_failed_transaction_leaves_everything_as_before() {
    let place = Place::new();
    let mut vault = place.create();
    with(&mut vault, |vault| {
        vault.put(Table::Meta, b"kept", b"1")?;
        vault.append(Log::Outbox, b"a").map(|_| ())
    });
    let failed: Result<(), VaultError> = vault.transaction(|vault| {
        vault.put(Table::Meta, b"kept", b"2")?;
        vault.put(Table::Meta, b"new", b"3")?;
        assert_eq!(vault.append(Log::Outbox, b"b")?, 1);
        vault.replace(Log::Outbox, 0, b"c")?;
        assert!(vault.delete(Table::Meta, b"kept")?);
        Err(VaultError::Locked)
    });
    assert!(matches!(failed, Err(VaultError::Locked)));
    with(&mut vault, |vault| {
        assert_eq!(vault.get(Table::Meta, b"kept")?.unwrap().as_slice(), b"1");
        assert!(vault.get(Table::Meta, b"new")?.is_none());
        assert_eq!(vault.count(Table::Meta)?, 1);
        let outbox = vault.read(Log::Outbox, 0, 10)?;
        assert_eq!(outbox.iter().map(|(at, value)| (*at, value.to_vec())).collect::<Vec<_>>(), [(0, b"a".to_vec())]);
        Ok(())
    });
}

#[test]
fn a_panic_inside_a_transaction_leaves_everything_as_before() {
    let place = Place::new();
    let mut vault = place.create();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), VaultError> = vault.transaction(|vault| {
            vault.put(Table::Meta, b"k", b"v")?;
            panic!("as a bug would")
        });
    }));
    assert!(outcome.is_err());
    with(&mut vault, |vault| {
        assert_eq!(vault.count(Table::Meta)?, 0);
        vault.put(Table::Meta, b"k", b"v")
    });
}

#[test]
fn a_wrong_passphrase_is_locked_and_changes_nothing() {
    let place = Place::new();
    fill(&mut place.create());
    let before = fs::read(&place.path).unwrap();
    for wrong in ["", "correct horsf", "correct horse ", "Correct horse"] {
        let opened = Vault::open(&place.path, &passphrase(wrong));
        assert!(matches!(opened, Err(VaultError::Locked)), "{wrong}");
    }
    assert!(fs::read(&place.path).unwrap() == before);
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn a_changed_passphrase_replaces_the_old_one_in_every_byte() {
    let place = Place::new();
    let mut vault = place.create();
    fill(&mut vault);
    let old: Vec<u8> = wrapped_key(&place, vault);
    let mut vault = place.open().unwrap();
    vault.change_passphrase("battery staple").unwrap();
    assert!(!contains(&place.all_bytes(), &old), "the old wrapping is still there while the vault is open");
    drop(vault);
    assert!(!contains(&place.all_bytes(), &old), "the old wrapping is still there");
    assert!(matches!(place.open(), Err(VaultError::Locked)));
    read_all(&mut Vault::open(&place.path, &passphrase("battery staple")).unwrap()).unwrap();
}

fn wrapped_key(place: &Place, vault: Vault) -> Vec<u8> {
    drop(vault);
    let database = rusqlite::Connection::open(&place.path).unwrap();
    let wrapped: Vec<u8> = database.query_row("SELECT wrapped_key FROM header", [], |row| row.get(0)).unwrap();
    assert!(contains(&fs::read(&place.path).unwrap(), &wrapped), "it is not looked for where it is");
    wrapped
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn the_cost_of_a_passphrase_is_the_design_s_unless_asked_otherwise() {
    let place = Place::new();
    drop(Vault::create(&place.path, &passphrase("p")).unwrap());
    let database = rusqlite::Connection::open(&place.path).unwrap();
    let cost: (u32, u32, u32) = database
        .query_row("SELECT memory_kib, passes, lanes FROM header", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(cost, (65_536, 3, 1));
}

#[test]
fn an_open_vault_belongs_to_one() {
    let place = Place::new();
    let mut vault = place.create();
    assert!(matches!(place.open(), Err(VaultError::InUse)));
    fill(&mut vault);
    drop(vault);
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn an_existing_file_is_never_made_into_a_vault() {
    let place = Place::new();
    fill(&mut place.create());
    let again = Vault::create_with(&place.path, &passphrase("other"), CHEAP);
    assert!(matches!(again, Err(VaultError::Exists)));
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn a_beginning_that_was_cut_off_does_not_stand_in_the_way() {
    let place = Place::new();
    super::files::modes::private_folder(&place.path).unwrap();
    for rest in ["vault.new", "vault.new-journal", "vault.new-wal"] {
        fs::write(place.folder().join(rest), [9; 700]).unwrap();
    }
    fill(&mut place.create());
    read_all(&mut place.open().unwrap()).unwrap();
    let left: Vec<_> = fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["vault.db"]);
}

#[test]
fn the_journal_of_a_lost_vault_is_not_played_into_a_new_one() {
    let (lost, place) = (Place::new(), Place::new());
    let mut vault = lost.create();
    fill(&mut vault);
    files_of(&lost, &place);
    fs::remove_file(&place.path).unwrap();
    let journal = fs::read(place.journal()).unwrap();
    let created = Vault::create_with(&place.path, &passphrase("p"), CHEAP);
    assert!(matches!(created, Err(VaultError::Damaged { .. })));
    assert!(fs::read(place.journal()).unwrap() == journal);
}

#[test]
fn each_opening_raises_the_generation() {
    let place = Place::new();
    assert_eq!(place.create().generation(), 1);
    for generation in 2..5 {
        let vault = place.open().unwrap();
        assert_eq!((vault.generation(), vault.rolled_back()), (generation, false));
    }
}

#[test]
fn a_full_disk_fails_the_transaction_and_nothing_before_it() {
    let place = Place::new();
    let mut vault = place.create();
    fill(&mut vault);
    // SQLite's own limit fails as a full disk does; 40 pages hold what is there and a little more.
    vault.limit_pages(40);
    let failed: Result<(), VaultError> = vault.transaction(|vault| {
        vault.put(Table::Meta, b"account", b"mallory")?;
        (0..1000_u32).try_for_each(|index| vault.put(Table::Sealed, &index.to_be_bytes(), &[1; 1000]))
    });
    match failed {
        Err(VaultError::Storage { reason }) => assert!(reason.contains("full"), "{reason}"),
        other => panic!("{other:?}"),
    }
    read_all(&mut vault).unwrap();
    with(&mut vault, |vault| vault.put(Table::Meta, b"small", b"still fits"));
    drop(vault);
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn what_is_written_after_the_database_gave_up_is_refused() {
    let place = Place::new();
    let mut vault = place.create();
    let given_up = vault.connection.transaction().unwrap();
    given_up.execute_batch("ROLLBACK").unwrap();
    let sealer = super::sealing::Sealer::new(&[1; 32]).unwrap();
    let mut transaction = super::sqlite::SqliteTransaction::new(&given_up, &sealer);
    assert!(matches!(transaction.put(Table::Meta, b"k", b"v"), Err(VaultError::Storage { .. })));
    assert!(matches!(transaction.append(Log::History, b"v"), Err(VaultError::Storage { .. })));
    assert!(given_up.commit().is_err());
    with(&mut vault, |vault| {
        assert_eq!((vault.count(Table::Meta)?, vault.last(Log::History)?), (0, None));
        Ok(())
    });
}
