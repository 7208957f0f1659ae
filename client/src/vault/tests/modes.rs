//! Files and folders belong to one user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refused_as_loose(opened: Result<Vault, VaultError>, path: &Path, mode: u32) {
    match opened {
        Err(VaultError::LooseMode { path: named, wanted }) => {
            assert_eq!((named.as_str(), wanted), (path.to_str().unwrap(), mode));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_that_is_made_belongs_to_the_owner_alone() {
    let place = Place::new();
    let mut vault = place.create();
    fill(&mut vault);
    assert_eq!(mode(place.folder()), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(place.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["vault.db", "vault.db-wal"]);
}

#[test]
fn a_file_that_others_may_use_is_refused() {
    let place = Place::new();
    drop(place.create());
    for loose in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666] {
        set_mode(&place.path, loose);
        refused_as_loose(place.open(), &place.path, 0o600);
    }
    set_mode(&place.path, 0o600);
    place.open().unwrap();
}

#[test]
fn a_folder_that_others_may_use_is_refused() {
    let place = Place::new();
    drop(place.create());
    for loose in [0o750, 0o705, 0o720, 0o701, 0o755] {
        set_mode(place.folder(), loose);
        refused_as_loose(place.open(), place.folder(), 0o700);
        let other = place.folder().join("other.db");
        refused_as_loose(Vault::create_with(&other, &passphrase("p"), CHEAP), place.folder(), 0o700);
        assert!(!other.exists());
    }
    set_mode(place.folder(), 0o700);
    place.open().unwrap();
}

#[test]
fn a_journal_that_others_may_use_is_refused() {
    let place = Place::new();
    drop(place.create());
    fs::write(place.journal(), []).unwrap();
    set_mode(&place.journal(), 0o644);
    refused_as_loose(place.open(), &place.journal(), 0o600);
    set_mode(&place.journal(), 0o600);
    place.open().unwrap();
}

#[test]
fn a_link_leads_to_the_file_that_is_judged() {
    let place = Place::new();
    fill(&mut place.create());
    let link = place.folder().join("link.db");
    symlink(&place.path, &link).unwrap();
    set_mode(&place.path, 0o644);
    refused_as_loose(Vault::open(&link, &passphrase("correct horse")), &link, 0o600);
    // And nothing is made where a link, even one to nowhere, lies.
    let nowhere = place.folder().join("nowhere.db");
    symlink(place.folder().join("absent"), &nowhere).unwrap();
    assert!(matches!(Vault::create_with(&nowhere, &passphrase("p"), CHEAP), Err(VaultError::Exists)));
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let place = Place::new();
    drop(place.create());
    let opened = Vault::open(place.folder(), &passphrase("p"));
    assert!(matches!(opened, Err(VaultError::Damaged { .. } | VaultError::LooseMode { .. })), "{opened:?}");
    let pipe = place.folder().join("pipe.db");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(Vault::open(&pipe, &passphrase("p")), Err(VaultError::Damaged { .. })));
    assert!(matches!(Vault::open(&place.folder().join("absent"), &passphrase("p")), Err(VaultError::Storage { .. })));
}
