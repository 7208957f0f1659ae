//! Vaults at a name, as a browser has them.

use super::*;

#[test]
fn a_vault_at_a_name_is_made_once_and_opened_with_its_passphrase_alone() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("name");
    let source = passphrase("correct horse");
    assert!(matches!(Vault::open_unguarded(&name, &source), Err(VaultError::Storage { .. })));
    fill(&mut Vault::create_unguarded(&name, &source, CHEAP).unwrap());
    assert!(matches!(Vault::create_unguarded(&name, &source, CHEAP), Err(VaultError::Exists)));
    assert!(matches!(Vault::open_unguarded(&name, &passphrase("battery staple")), Err(VaultError::Locked)));
    read_all(&mut Vault::open_unguarded(&name, &source).unwrap()).unwrap();
}

#[test]
fn an_empty_database_that_a_crash_left_is_no_vault_and_can_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("name");
    fs::write(&name, "").unwrap();
    let source = passphrase("correct horse");
    assert!(matches!(Vault::open_unguarded(&name, &source), Err(VaultError::Damaged { what: "schema" })));
    fill(&mut Vault::create_unguarded(&name, &source, CHEAP).unwrap());
    read_all(&mut Vault::open_unguarded(&name, &source).unwrap()).unwrap();
}
