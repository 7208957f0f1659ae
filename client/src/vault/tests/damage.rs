//! Damaged files: each is refused or its damage is reported, none is changed, nothing panics.

use super::*;

fn refused(place: &Place, why: &str) {
    let before = fs::read(&place.path).unwrap();
    let opened = place.open();
    assert!(matches!(opened, Err(VaultError::Damaged { .. })), "{why}: {opened:?}");
    assert!(fs::read(&place.path).unwrap() == before, "{why}: the file was changed");
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_left_as_it_is() {
    let place = Place::new();
    fill(&mut place.create());
    let whole = fs::read(&place.path).unwrap();
    let cuts = (0..whole.len()).step_by(512).chain([1, 15, 16, 99, 100, 101, whole.len() - 1]);
    for length in cuts {
        fs::write(&place.path, &whole[..length]).unwrap();
        refused(&place, &format!("{length} of {} bytes", whole.len()));
    }
    fs::write(&place.path, &whole).unwrap();
    read_all(&mut place.open().unwrap()).unwrap();
}

#[test]
fn a_journal_cut_off_anywhere_loses_whole_transactions_only() {
    let (place, copy) = (Place::new(), Place::new());
    let mut vault = place.create();
    with(&mut vault, |vault| vault.put(Table::Meta, b"before", b"1"));
    let length_before = fs::metadata(place.journal()).unwrap().len();
    fill(&mut vault);
    files_of(&place, &copy);
    let (main, journal) = (fs::read(&copy.path).unwrap(), fs::read(copy.journal()).unwrap());
    let mut seen = [0_u32; 2];
    for length in (0..journal.len()).step_by(512).chain([journal.len()]) {
        fs::write(&copy.path, &main).unwrap();
        write_private(&copy.journal(), &journal[..length]);
        let mut vault = copy.open().unwrap();
        let sessions = with(&mut vault, |vault| {
            let before = vault.get(Table::Meta, b"before")?.is_some();
            assert_eq!(before, length as u64 >= length_before, "{length}");
            vault.count(Table::Session)
        });
        assert!(sessions == 0 || sessions == 40, "{length}: {sessions}");
        seen[usize::from(sessions == 40)] += 1;
    }
    assert!(seen[0] > 10 && seen[1] == 1, "{seen:?}");
}

#[test]
fn any_flipped_byte_is_an_error_or_nothing_but_never_another_value() {
    let place = Place::new();
    fill(&mut place.create());
    let whole = fs::read(&place.path).unwrap();
    let mut damaged = 0;
    // Every byte of the head, then every 61st: a prime, so that it falls on all parts of a page.
    for at in (0..100).chain((100..whole.len()).step_by(61)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&place.path, &bytes).unwrap();
        let _ = fs::remove_file(place.journal());
        let outcome = place.open().and_then(|mut vault| {
            vault.transaction(|vault| {
                // Rows may be lost, but a row that is read is as it was written.
                for (_, value) in vault.entries(Table::Session)? {
                    assert_eq!(value.as_slice(), [7; 300], "byte {at}");
                }
                for (_, value) in vault.read(Log::History, 0, 100)? {
                    assert_eq!(value.as_slice(), [8; 300], "byte {at}");
                }
                if let Some(value) = vault.get(Table::Meta, b"account")? {
                    assert_eq!(value.as_slice(), b"alice", "byte {at}");
                }
                Ok::<_, VaultError>(())
            })
        });
        damaged += u32::from(outcome.is_err());
    }
    assert!(damaged > 300, "{damaged}");
}

#[test]
fn foreign_files_are_refused_and_left_as_they_are() {
    let place = Place::new();
    super::super::files::modes::private_folder(&place.path).unwrap();
    write_private(&place.path, &[]);
    refused(&place, "an empty file");
    for (why, bytes) in [("zeros", vec![0; 8192]), ("text", b"hello, world\n".repeat(500))] {
        fs::write(&place.path, bytes).unwrap();
        refused(&place, why);
    }
    fs::write(&place.path, []).unwrap();
    place.tamper("CREATE TABLE header (id INTEGER)");
    refused(&place, "another database");
    place.tamper("PRAGMA application_id = 1399152897; PRAGMA user_version = 1");
    refused(&place, "another database that says it is a vault");
}

#[test]
fn a_schema_with_more_or_less_than_ours_is_refused() {
    for change in [
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM list; END",
        "CREATE INDEX i ON list (value)",
        "DROP TABLE list_head",
        "ALTER TABLE header ADD COLUMN more INTEGER",
        "DROP TABLE list; CREATE VIEW list AS SELECT tab AS log, key AS position, value FROM entry",
    ] {
        let place = Place::new();
        fill(&mut place.create());
        place.tamper(change);
        refused(&place, change);
    }
}

#[test]
fn a_header_that_was_changed_is_refused() {
    for change in [
        "DELETE FROM header",
        "UPDATE header SET key_source = 7",
        "UPDATE header SET memory_kib = 1048577",
        "UPDATE header SET memory_kib = 4294967296",
        "UPDATE header SET memory_kib = 0",
        "UPDATE header SET memory_kib = -1",
        "UPDATE header SET passes = 11",
        "UPDATE header SET passes = 0",
        "UPDATE header SET lanes = 17",
        "UPDATE header SET lanes = 0",
        "UPDATE header SET salt = x'00'",
        "UPDATE header SET vault_id = x'00'",
        "UPDATE header SET wrapped_key = x''",
        "UPDATE header SET wrapped_key = zeroblob(27)",
        "UPDATE header SET wrapped_key = zeroblob(100000)",
        "UPDATE header SET state = x''",
        "UPDATE header SET state = zeroblob(37)",
    ] {
        let place = Place::new();
        drop(place.create());
        place.tamper(change);
        refused(&place, change);
    }
}

#[test]
fn other_parameters_do_not_open_a_vault() {
    for change in ["passes = 2", "memory_kib = 9", "salt = zeroblob(16)"] {
        let place = Place::new();
        drop(place.create());
        place.tamper(&format!("UPDATE header SET {change}"));
        assert!(matches!(place.open(), Err(VaultError::Locked)), "{change}");
    }
}

#[test]
fn a_newer_version_s_file_is_named_as_such_and_left_as_it_is() {
    let place = Place::new();
    drop(place.create());
    place.tamper("PRAGMA user_version = 2");
    let before = fs::read(&place.path).unwrap();
    assert!(matches!(place.open(), Err(VaultError::Newer { format: 2 })));
    assert!(fs::read(&place.path).unwrap() == before);
    place.tamper("PRAGMA user_version = 0");
    refused(&place, "a version that never was");
}

fn two_of_each(place: &Place) {
    with(&mut place.create(), |vault| {
        vault.put(Table::Session, b"a", b"of a")?;
        vault.put(Table::Session, b"b", b"of b")?;
        vault.put(Table::Contact, b"a", b"contact")?;
        vault.append(Log::Outbox, b"first")?;
        vault.append(Log::Outbox, b"second")?;
        vault.append(Log::Notice, b"notice").map(|_| ())
    });
}

fn damaged<T>(result: &Result<T, VaultError>, named: &str) -> bool {
    matches!(result, Err(VaultError::Damaged { what }) if *what == named)
}

#[test]
fn values_cannot_be_swapped_between_rows_or_tables() {
    let place = Place::new();
    two_of_each(&place);
    // The two rows of a table swap their values, those of a list their positions, and rows go to other tables and lists.
    place.tamper(
        "CREATE TEMP TABLE old AS SELECT * FROM entry;
         UPDATE entry SET value = (SELECT value FROM old WHERE old.tab = entry.tab AND old.key <> entry.key) WHERE tab = 4;
         UPDATE entry SET tab = 5 WHERE tab = 3;
         UPDATE list SET position = 1 - position + 10 WHERE log = 2; UPDATE list SET position = position - 10 WHERE log = 2;
         UPDATE list SET log = 1 WHERE log = 3;",
    );
    let mut vault = place.open().unwrap();
    vault
        .transaction(|vault| {
            for key in [b"a", b"b"] {
                assert!(damaged(&vault.get(Table::Session, key), "table of sessions"));
            }
            assert!(damaged(&vault.entries(Table::Session), "table of sessions"));
            assert!(damaged(&vault.entries(Table::Inbox), "inbox"));
            assert!(vault.get(Table::Contact, b"a")?.is_none());
            assert!(damaged(&vault.read(Log::Outbox, 0, 1), "outbox"));
            assert!(damaged(&vault.read_back(Log::Outbox, 2, 1), "outbox"));
            assert!(damaged(&vault.read(Log::History, 0, 1), "history"));
            Ok::<_, VaultError>(())
        })
        .unwrap();
}

#[test]
fn one_damaged_row_names_its_table_and_spoils_no_other() {
    let place = Place::new();
    two_of_each(&place);
    place.tamper(
        "UPDATE entry SET value = zeroblob(length(value)) WHERE tab = 3;
         UPDATE list SET value = x'00' WHERE log = 2 AND position = 0;",
    );
    let mut vault = place.open().unwrap();
    vault
        .transaction(|vault| {
            let error = vault.get(Table::Contact, b"a").unwrap_err();
            assert_eq!(error.to_string(), "the vault is damaged: its table of contacts cannot be read");
            assert!(damaged(&vault.read(Log::Outbox, 0, 9), "outbox"));
            assert_eq!(vault.read(Log::Outbox, 1, 9)?[0].1.as_slice(), b"second");
            assert_eq!(vault.get(Table::Session, b"a")?.unwrap().as_slice(), b"of a");
            Ok::<_, VaultError>(())
        })
        .unwrap();
}

#[test]
fn a_position_given_twice_is_reported_not_overwritten() {
    let place = Place::new();
    two_of_each(&place);
    place.tamper("UPDATE list_head SET next = 1");
    let mut vault = place.open().unwrap();
    let appended: Result<u64, VaultError> = vault.transaction(|vault| vault.append(Log::Outbox, b"third"));
    assert!(matches!(appended, Err(VaultError::Damaged { .. })), "{appended:?}");
    with(&mut vault, |vault| {
        assert_eq!(vault.read(Log::Outbox, 1, 1)?[0].1.as_slice(), b"second");
        Ok(())
    });
}
