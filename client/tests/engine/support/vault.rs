//! A vault in memory that can be rolled back.

use std::collections::BTreeMap;

use sealpost_client::vault::{Log, Table, Value, VaultError, VaultTransaction};
use zeroize::Zeroizing;

#[derive(Clone, Default)]
pub(crate) struct MemoryVault {
    tables: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    logs: BTreeMap<(Log, u64), Vec<u8>>,
    next: BTreeMap<Log, u64>,
}

impl VaultTransaction for MemoryVault {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Value>, VaultError> {
        Ok(self.tables.get(&(table, key.to_vec())).cloned().map(Zeroizing::new))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.tables.insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, VaultError> {
        Ok(self.tables.remove(&(table, key.to_vec())).is_some())
    }

    fn entries(&mut self, table: Table) -> Result<Vec<(Value, Value)>, VaultError> {
        Ok(self
            .tables
            .iter()
            .filter(|((of, _), _)| *of == table)
            .map(|((_, key), value)| (Zeroizing::new(key.clone()), Zeroizing::new(value.clone())))
            .collect())
    }

    fn count(&mut self, table: Table) -> Result<u64, VaultError> {
        Ok(self.tables.keys().filter(|(of, _)| *of == table).count() as u64)
    }

    fn append(&mut self, log: Log, value: &[u8]) -> Result<u64, VaultError> {
        let next = self.next.entry(log).or_default();
        let position = *next;
        *next += 1;
        self.logs.insert((log, position), value.to_vec());
        Ok(position)
    }

    fn replace(&mut self, log: Log, position: u64, value: &[u8]) -> Result<(), VaultError> {
        self.logs.insert((log, position), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, log: Log, position: u64) -> Result<bool, VaultError> {
        Ok(self.logs.remove(&(log, position)).is_some())
    }

    fn read(&mut self, log: Log, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        Ok(self
            .logs
            .range((log, from)..=(log, u64::MAX))
            .take(limit)
            .map(|((_, position), value)| (*position, Zeroizing::new(value.clone())))
            .collect())
    }

    fn read_back(&mut self, log: Log, before: u64, limit: usize) -> Result<Vec<(u64, Value)>, VaultError> {
        Ok(self
            .logs
            .range((log, 0)..(log, before))
            .rev()
            .take(limit)
            .map(|((_, position), value)| (*position, Zeroizing::new(value.clone())))
            .collect())
    }

    fn last(&mut self, log: Log) -> Result<Option<u64>, VaultError> {
        Ok(self.logs.range((log, 0)..=(log, u64::MAX)).next_back().map(|((_, position), _)| *position))
    }
}
