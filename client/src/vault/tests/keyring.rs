//! A vault whose key is in a key ring.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::process::Command;

use super::*;
use crate::driver::{Driver, SystemClock};
use crate::engine::{Notice, NoticeBody};
use crate::vault::keyring::{Entry, Keyring, VaultId};

#[derive(Default)]
struct MemoryKeyring {
    entries: RefCell<HashMap<VaultId, Entry>>,
    absent: Cell<bool>,
}

impl MemoryKeyring {
    fn answer(&self) -> Result<(), VaultError> {
        if self.absent.get() { Err(VaultError::KeyringUnavailable { reason: "absent" }) } else { Ok(()) }
    }
}

impl Keyring for MemoryKeyring {
    fn load(&self, _label: &str, vault: &VaultId) -> Result<Entry, VaultError> {
        self.answer()?;
        self.entries.borrow().get(vault).cloned().ok_or(VaultError::KeyringUnavailable { reason: "no key" })
    }

    fn save(&self, _label: &str, vault: &VaultId, entry: &Entry) -> Result<(), VaultError> {
        self.answer()?;
        self.entries.borrow_mut().insert(*vault, entry.clone());
        Ok(())
    }
}

fn label() -> VaultKeySource {
    VaultKeySource::Keyring { label: "profile".to_owned() }
}

fn open(keyring: &MemoryKeyring, place: &Place) -> Result<Vault, VaultError> {
    Vault::open_in(keyring, &place.path, &label())
}

#[test]
fn a_vault_opens_with_the_key_that_the_key_ring_keeps() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    fill(&mut Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    read_all(&mut open(&keyring, &place).unwrap()).unwrap();
    assert!(matches!(place.open(), Err(VaultError::OtherKeySource { .. })));
    keyring.absent.set(true);
    assert!(matches!(open(&keyring, &place), Err(VaultError::KeyringUnavailable { .. })));
    keyring.absent.set(false);
    read_all(&mut open(&keyring, &place).unwrap()).unwrap();
}

#[test]
fn another_key_is_damage_not_garbage() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    drop(Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    keyring.entries.borrow_mut().values_mut().for_each(|entry| entry.key = Zeroizing::new([0; 32]));
    assert!(matches!(open(&keyring, &place), Err(VaultError::Damaged { what: "header" })));
}

#[test]
fn a_second_vault_under_one_label_does_not_cost_the_first_its_key() {
    let (keyring, one, two) = (MemoryKeyring::default(), Place::new(), Place::new());
    for place in [&one, &two] {
        fill(&mut Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    }
    for place in [&one, &two] {
        read_all(&mut open(&keyring, place).unwrap()).unwrap();
    }
}

#[test]
fn an_older_copy_is_noticed_until_that_is_settled() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    drop(Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    let yesterday = fs::read(&place.path).unwrap();
    for _ in 0..3 {
        assert!(!open(&keyring, &place).unwrap().rolled_back());
    }
    fs::write(&place.path, &yesterday).unwrap();
    let vault = open(&keyring, &place).unwrap();
    assert!(vault.rolled_back());
    assert_eq!(vault.generation(), 5);
    drop(vault);
    // A crash before it was settled must not make it forgotten.
    let mut vault = open(&keyring, &place).unwrap();
    assert!(vault.rolled_back());
    vault.settle_rollback().unwrap();
    assert!(!vault.rolled_back());
    drop(vault);
    assert!(!open(&keyring, &place).unwrap().rolled_back());
    fs::write(&place.path, &yesterday).unwrap();
    assert!(open(&keyring, &place).unwrap().rolled_back());
}

#[test]
fn an_opening_that_the_key_ring_did_not_learn_of_is_no_roll_back() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    drop(Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    let known = keyring.entries.borrow().clone();
    drop(open(&keyring, &place).unwrap());
    *keyring.entries.borrow_mut() = known;
    assert!(!open(&keyring, &place).unwrap().rolled_back());
}

#[test]
fn a_passphrase_can_take_the_place_of_the_key_ring() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    let mut vault = Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap();
    fill(&mut vault);
    vault.change_passphrase("correct horse").unwrap();
    drop(vault);
    assert!(matches!(open(&keyring, &place), Err(VaultError::OtherKeySource { .. })));
    read_all(&mut place.open().unwrap()).unwrap();
}

/// Set in the environment of the process that must not find a Secret Service.
const WITHOUT: &str = "SEALPOST_TEST_WITHOUT_SECRET_SERVICE";

#[test]
fn without_a_secret_service_it_is_said_and_nothing_is_left() {
    if std::env::var_os(WITHOUT).is_none() {
        // The environment says where the bus is, and a process can't safely change its own.
        let name = "vault::tests::keyring::without_a_secret_service_it_is_said_and_nothing_is_left";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(WITHOUT, "1")
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let place = Place::new();
    match Vault::create(&place.path, &label()) {
        Err(error @ VaultError::KeyringUnavailable { .. }) => {
            assert!(error.to_string().contains("a vault under a passphrase needs none"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!place.path.exists());
    drop(place.create());
}

#[test]
fn the_driver_tells_of_a_roll_back_once_and_settles_it() {
    let (keyring, place) = (MemoryKeyring::default(), Place::new());
    drop(Vault::create_in(&keyring, &place.path, &label(), CHEAP).unwrap());
    let yesterday = fs::read(&place.path).unwrap();
    drop(open(&keyring, &place).unwrap());
    fs::write(&place.path, &yesterday).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        let vault = open(&keyring, &place).unwrap();
        let driver = Driver::start(vault, None, Box::new(SystemClock)).unwrap();
        runtime.block_on(async {
            let notices = driver.query(|engine, context| engine.notices(context, 0, 9)).await.unwrap();
            assert!(matches!(&notices[..], [Notice { body: NoticeBody::RolledBack, .. }]), "{notices:?}");
            driver.stop().await;
        });
    }
    assert!(!open(&keyring, &place).unwrap().rolled_back());
}
