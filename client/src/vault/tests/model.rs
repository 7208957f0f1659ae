//! The vault beside a model of it that is obviously right.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(Table, Vec<u8>, Vec<u8>),
    Delete(Table, Vec<u8>),
    Append(Log, Vec<u8>),
    Replace(Log, u64, Vec<u8>),
    Remove(Log, u64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    Fail,
    Reopen,
}

#[derive(Clone, Default)]
struct Model {
    tables: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    lists: BTreeMap<(Log, u64), Vec<u8>>,
    next: BTreeMap<Log, u64>,
}

const TABLES: [Table; 3] = [Table::Meta, Table::Session, Table::Sent];
const LOGS: [Log; 3] = [Log::History, Log::Outbox, Log::Notice];

fn step() -> impl Strategy<Value = Step> {
    let table = || proptest::sample::select(&TABLES[..]);
    let log = || proptest::sample::select(&LOGS[..]);
    // Few keys, so that they meet; the empty one among them.
    let key = || proptest::collection::vec(0_u8..3, 0..2);
    let value = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => (table(), key(), value()).prop_map(|(table, key, value)| Step::Put(table, key, value)),
        2 => (table(), key()).prop_map(|(table, key)| Step::Delete(table, key)),
        4 => (log(), value()).prop_map(|(log, value)| Step::Append(log, value)),
        1 => (log(), 0_u64..8, value()).prop_map(|(log, at, value)| Step::Replace(log, at, value)),
        2 => (log(), prop_oneof![0_u64..8, Just(u64::MAX)]).prop_map(|(log, at)| Step::Remove(log, at)),
    ]
}

impl Model {
    /// Takes a step in both and compares what they say.
    fn take(&mut self, vault: &mut dyn VaultTransaction, step: Step) -> Result<(), VaultError> {
        match step {
            Step::Put(table, key, value) => {
                vault.put(table, &key, &value)?;
                self.tables.insert((table, key), value);
            }
            Step::Delete(table, key) => {
                assert_eq!(vault.delete(table, &key)?, self.tables.remove(&(table, key)).is_some());
            }
            Step::Append(log, value) => {
                let next = self.next.entry(log).or_default();
                assert_eq!(vault.append(log, &value)?, *next);
                self.lists.insert((log, *next), value);
                *next += 1;
            }
            Step::Replace(log, at, value) => match self.lists.get_mut(&(log, at)) {
                Some(old) => {
                    vault.replace(log, at, &value)?;
                    *old = value;
                }
                None => assert!(vault.replace(log, at, &value).is_err()),
            },
            Step::Remove(log, at) => {
                assert_eq!(vault.remove(log, at)?, self.lists.remove(&(log, at)).is_some());
            }
        }
        Ok(())
    }

    fn compare(&self, vault: &mut dyn VaultTransaction) -> Result<(), VaultError> {
        for table in TABLES {
            let expected: Vec<(Vec<u8>, Vec<u8>)> = self
                .tables
                .iter()
                .filter(|((of, _), _)| *of == table)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            let mut entries: Vec<_> =
                vault.entries(table)?.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            entries.sort();
            assert_eq!(entries, expected);
            assert_eq!(vault.count(table)?, expected.len() as u64);
            for (key, value) in &expected {
                assert_eq!(vault.get(table, key)?.unwrap().as_slice(), value);
            }
            assert!(vault.get(table, b"never there")?.is_none());
        }
        for log in LOGS {
            let all: Vec<(u64, Vec<u8>)> = self
                .lists
                .iter()
                .filter(|((of, _), _)| *of == log)
                .map(|((_, at), value)| (*at, value.clone()))
                .collect();
            assert_eq!(vault.last(log)?, all.last().map(|(at, _)| *at));
            for bound in [0, 1, 3, 100, u64::MAX] {
                for limit in [0, 2, usize::MAX] {
                    let up: Vec<_> = all.iter().filter(|(at, _)| *at >= bound).take(limit).cloned().collect();
                    let down: Vec<_> = all.iter().rev().filter(|(at, _)| *at < bound).take(limit).cloned().collect();
                    assert_eq!(plain(vault.read(log, bound, limit)?), up);
                    assert_eq!(plain(vault.read_back(log, bound, limit)?), down);
                }
            }
        }
        Ok(())
    }
}

fn plain(rows: Vec<(u64, crate::vault::Value)>) -> Vec<(u64, Vec<u8>)> {
    rows.into_iter().map(|(at, value)| (at, value.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_vault_is_what_its_transactions_left(
        transactions in proptest::collection::vec(
            (
                proptest::collection::vec(step(), 0..8),
                prop_oneof![4 => Just(End::Commit), 2 => Just(End::Fail), 1 => Just(End::Reopen)],
            ),
            0..6,
        )
    ) {
        let place = Place::new();
        let mut vault = place.create();
        let mut model = Model::default();
        for (steps, end) in transactions {
            let mut next = model.clone();
            let outcome = vault.transaction(|vault| {
                for step in steps {
                    next.take(vault, step)?;
                }
                next.compare(vault)?;
                if matches!(end, End::Fail) { Err(VaultError::Locked) } else { Ok(()) }
            });
            if matches!(end, End::Fail) {
                prop_assert!(matches!(outcome, Err(VaultError::Locked)));
            } else {
                outcome.unwrap();
                model = next;
            }
            if matches!(end, End::Reopen) {
                drop(vault);
                vault = place.open().unwrap();
            }
            with(&mut vault, |vault| model.compare(vault));
        }
    }
}
