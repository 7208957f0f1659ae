//! What a thief of the file learns.

use super::*;

const CANARY: &[u8] = b"canary-7c0f1e";

#[test]
fn nothing_that_was_stored_is_visible_in_any_file() {
    let place = Place::new();
    let mut vault = place.create();
    let key = [CANARY, b"-key"].concat();
    with(&mut vault, |vault| {
        vault.put(Table::Contact, &key, CANARY)?;
        vault.put(Table::Contact, &key, &CANARY.repeat(500))?;
        vault.append(Log::History, CANARY)?;
        vault.replace(Log::History, 0, &CANARY.repeat(500))
    });
    let found = |bytes: &[u8]| {
        contains(bytes, CANARY) || contains(bytes, b"correct horse") || contains(bytes, vault.key.as_slice())
    };
    assert!(fs::metadata(place.journal()).unwrap().len() > 13_000, "the journal holds it all");
    assert!(!found(&place.all_bytes()), "while open");
    let secret = vault.key.clone();
    drop(vault);
    let bytes = place.all_bytes();
    assert!(bytes.len() > 13_000);
    assert!(!contains(&bytes, CANARY) && !contains(&bytes, secret.as_slice()), "when closed");
    let mut vault = place.open().unwrap();
    with(&mut vault, |vault| {
        assert_eq!(vault.get(Table::Contact, &key)?.unwrap().len(), 500 * CANARY.len());
        Ok(())
    });
}

#[test]
fn the_same_value_never_looks_the_same() {
    let place = Place::new();
    let mut vault = place.create();
    with(&mut vault, |vault| {
        for index in 0..20_u8 {
            vault.put(Table::Meta, &[index], b"the same")?;
            vault.append(Log::Notice, b"the same")?;
        }
        Ok(())
    });
    drop(vault);
    let database = rusqlite::Connection::open(&place.path).unwrap();
    let mut statement = database.prepare("SELECT value FROM entry UNION ALL SELECT value FROM list").unwrap();
    let mut values: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 40);
    let mut nonces: Vec<&[u8]> = values.iter().map(|value| &value[..12]).collect();
    nonces.dedup();
    assert_eq!(nonces.len(), 40);
}

#[test]
fn the_same_key_is_another_in_each_table_and_each_vault() {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for _ in 0..2 {
        let place = Place::new();
        let mut vault = place.create();
        with(&mut vault, |vault| {
            vault.put(Table::Meta, b"k", b"")?;
            vault.put(Table::Seen, b"k", b"")
        });
        drop(vault);
        let database = rusqlite::Connection::open(&place.path).unwrap();
        let mut statement = database.prepare("SELECT key FROM entry").unwrap();
        keys.extend(statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

#[test]
fn what_is_printed_holds_no_secret() {
    let place = Place::new();
    let vault = place.create();
    assert_eq!(format!("{vault:?}"), "Vault(generation 1, rolled back: false)");
    assert_eq!(format!("{:?}", passphrase("correct horse")), "Passphrase(..)");
}
