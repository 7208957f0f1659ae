//! What reaches the vault, and how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Cache, Entry, Kept, LogRows, Record, Row, Rows, Single};
use crate::engine::codec::{parse, write};
use crate::engine::error::EngineError;
use crate::vault::{Log, Table, Value, VaultError, VaultTransaction};

/// A vault in memory that counts writes.
#[derive(Default)]
struct CountingVault {
    tables: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    log: BTreeMap<u64, Vec<u8>>,
    next: u64,
    writes: usize,
}

impl VaultTransaction for CountingVault {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Value>, VaultError> {
        Ok(self.tables.get(&(table, key.to_vec())).cloned().map(Zeroizing::new))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.writes += 1;
        self.tables.insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, VaultError> {
        self.writes += 1;
        Ok(self.tables.remove(&(table, key.to_vec())).is_some())
    }

    fn entries(&mut self, table: Table) -> Result<Vec<(Value, Value)>, VaultError> {
        let of_table = self.tables.iter().filter(|((of, _), _)| *of == table);
        Ok(of_table.map(|((_, key), value)| (Zeroizing::new(key.clone()), Zeroizing::new(value.clone()))).collect())
    }

    fn count(&mut self, table: Table) -> Result<u64, VaultError> {
        Ok(self.tables.keys().filter(|(of, _)| *of == table).count() as u64)
    }

    fn append(&mut self, _: Log, value: &[u8]) -> Result<u64, VaultError> {
        self.writes += 1;
        self.log.insert(self.next, value.to_vec());
        self.next += 1;
        Ok(self.next - 1)
    }

    fn replace(&mut self, _: Log, position: u64, value: &[u8]) -> Result<(), VaultError> {
        self.writes += 1;
        assert!(self.log.insert(position, value.to_vec()).is_some(), "nothing to replace");
        Ok(())
    }

    fn remove(&mut self, _: Log, position: u64) -> Result<bool, VaultError> {
        self.writes += 1;
        Ok(self.log.remove(&position).is_some())
    }

    fn read(&mut self, _: Log, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        let found = self.log.range(from..).take(limit);
        Ok(found.map(|(position, value)| (*position, Zeroizing::new(value.clone()))).collect())
    }

    fn read_back(&mut self, _: Log, before: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        let found = self.log.range(..before).rev().take(limit);
        Ok(found.map(|(position, value)| (*position, Zeroizing::new(value.clone()))).collect())
    }

    fn last(&mut self, _: Log) -> Result<Option<u64>, VaultError> {
        Ok(self.log.keys().next_back().copied())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note(u64);

impl Record for Note {
    const TABLE: Table = Table::Meta;
    const KEY: &'static [u8] = b"note";
    const WHAT: &'static str = "a note";
}

impl Entry for Note {
    const LOG: Log = Log::Outbox;
    const WHAT: &'static str = "a note";
}

impl Row for Note {
    type Key = u8;
    const TABLE: Table = Table::Peer;
    const WHAT: &'static str = "a note";

    fn key_bytes(key: &u8) -> Vec<u8> {
        vec![*key]
    }

    fn parse_key(bytes: &[u8]) -> Option<u8> {
        bytes.first().copied()
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        write(self)
    }

    fn decode(_: &u8, bytes: &[u8]) -> Result<Self, EngineError> {
        parse(bytes, <Self as Row>::WHAT)
    }
}

#[test]
fn a_record_is_written_once_however_often_it_changes_and_not_without_a_change() {
    let mut vault = CountingVault::default();
    let mut kept = Kept::<Note>::open(&mut vault).unwrap();
    let mut single = Single::<Note>::open(&mut vault).unwrap();
    kept.flush(&mut vault).unwrap();
    single.flush(&mut vault).unwrap();
    assert_eq!(vault.writes, 0);
    for value in 1..=3 {
        kept.edit().0 = value;
    }
    kept.flush(&mut vault).unwrap();
    kept.flush(&mut vault).unwrap();
    assert_eq!((vault.writes, Kept::<Note>::open(&mut vault).unwrap().0), (1, 3));
    single.set(Note(4));
    single.set(Note(5));
    single.flush(&mut vault).unwrap();
    assert_eq!(Single::<Note>::open(&mut vault).unwrap().get(), Some(&Note(5)));
    single.take();
    single.flush(&mut vault).unwrap();
    assert_eq!((vault.writes, Single::<Note>::open(&mut vault).unwrap().get()), (3, None));
}

#[test]
fn a_row_that_comes_and_goes_in_one_step_never_reaches_the_vault() {
    let mut vault = CountingVault::default();
    let mut rows = Rows::<Note>::open(&mut vault).unwrap();
    rows.put(1, Note(1));
    rows.edit(&1).unwrap().0 = 2;
    assert_eq!(rows.remove(&1), Some(Note(2)));
    rows.flush(&mut vault).unwrap();
    assert_eq!(vault.writes, 0);
}

#[test]
fn a_row_removed_and_put_again_is_there_after_the_flush_and_one_removed_later_is_not() {
    let mut vault = CountingVault::default();
    let mut rows = Rows::<Note>::open(&mut vault).unwrap();
    rows.put(1, Note(1));
    rows.flush(&mut vault).unwrap();
    rows.remove(&1);
    rows.put(1, Note(2));
    rows.flush(&mut vault).unwrap();
    assert_eq!(Rows::<Note>::open(&mut vault).unwrap().get(&1), Some(&Note(2)));
    rows.remove(&1);
    rows.flush(&mut vault).unwrap();
    assert_eq!(vault.count(Table::Peer).unwrap(), 0);
}

#[test]
fn a_full_cache_loses_no_change() {
    let mut vault = CountingVault::default();
    let mut cache = Cache::<Note>::new(2);
    for key in 0..9 {
        cache.put(&mut vault, key, Note(u64::from(key))).unwrap();
    }
    cache.edit(&mut vault, &0).unwrap().unwrap().0 = 100;
    cache.flush(&mut vault).unwrap();
    let mut fresh = Cache::<Note>::new(2);
    for key in 1..9 {
        assert_eq!(fresh.get(&mut vault, &key).unwrap(), Some(&Note(u64::from(key))));
    }
    assert_eq!(fresh.get(&mut vault, &0).unwrap(), Some(&Note(100)));
}

#[test]
fn a_try_that_changes_nothing_writes_nothing() {
    let mut vault = CountingVault::default();
    let mut cache = Cache::<Note>::new(2);
    cache.put(&mut vault, 1, Note(1)).unwrap();
    cache.flush(&mut vault).unwrap();
    let writes = vault.writes;
    cache.attempt(&mut vault, &1).unwrap();
    cache.flush(&mut vault).unwrap();
    assert_eq!(vault.writes, writes);
}

#[test]
fn the_positions_of_a_log_are_those_that_the_vault_gives_and_each_record_is_written_once() {
    let mut vault = CountingVault::default();
    vault.append(Log::Outbox, b"0").unwrap();
    vault.remove(Log::Outbox, 0).unwrap();
    let mut rows = LogRows::<Note>::open(&mut vault).unwrap();
    assert_eq!(rows.append(&mut vault, Note(10)).unwrap(), 1);
    rows.flush(&mut vault).unwrap();
    let writes = vault.writes;
    assert_eq!(rows.append(&mut vault, Note(20)).unwrap(), 2);
    assert_eq!(rows.append(&mut vault, Note(30)).unwrap(), 3);
    rows.edit(2).unwrap().0 = 21;
    rows.edit(3).unwrap().0 = 31;
    rows.flush(&mut vault).unwrap();
    assert_eq!(vault.writes, writes + 2);
    let read: Vec<_> = LogRows::<Note>::open(&mut vault).unwrap().iter().map(|(at, row)| (at, row.0)).collect();
    assert_eq!(read, [(1, 10), (2, 21), (3, 31)]);
}

#[test]
fn a_record_removed_before_it_was_written_keeps_its_position_from_the_next() {
    let mut vault = CountingVault::default();
    let mut rows = LogRows::<Note>::open(&mut vault).unwrap();
    for value in 0..4 {
        rows.append(&mut vault, Note(value)).unwrap();
    }
    assert_eq!(rows.remove(&mut vault, 2).unwrap(), Some(Note(2)));
    rows.flush(&mut vault).unwrap();
    assert_eq!(vault.log.keys().copied().collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(vault.append(Log::Outbox, b"4").unwrap(), 4);
}
