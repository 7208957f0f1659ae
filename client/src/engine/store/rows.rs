//! All rows of a small table.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use super::record::{Row, clear};
use crate::engine::error::EngineError;
use crate::vault::VaultTransaction;

struct Held<R> {
    value: R,
    /// Whether the vault has a row of this key. A row that comes and goes within a step never reaches it.
    stored: bool,
}

/// All rows of a table, and which of them have changed since the last flush.
pub(crate) struct Rows<R: Row> {
    rows: BTreeMap<R::Key, Held<R>>,
    changed: BTreeSet<R::Key>,
    removed: BTreeSet<R::Key>,
}

impl<R: Row> Rows<R> {
    /// Reads them.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let mut rows = BTreeMap::new();
        for (key, value) in vault.entries(R::TABLE)? {
            let key = R::parse_key(&key).ok_or(EngineError::Record { what: R::WHAT })?;
            let value = R::decode(&key, &value)?;
            rows.insert(key, Held { value, stored: true });
        }
        Ok(Self { rows, changed: BTreeSet::new(), removed: BTreeSet::new() })
    }

    /// Returns a row.
    pub(crate) fn get(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key).map(|held| &held.value)
    }

    /// Returns whether there is a row of this key.
    pub(crate) fn contains(&self, key: &R::Key) -> bool {
        self.rows.contains_key(key)
    }

    /// Returns a row for a change.
    pub(crate) fn edit(&mut self, key: &R::Key) -> Option<&mut R> {
        let held = self.rows.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(&mut held.value)
    }

    /// Returns a row for a change, and creates it if it is missing.
    pub(crate) fn edit_or_default(&mut self, key: &R::Key) -> &mut R
    where
        R: Default,
    {
        self.changed.insert(key.clone());
        let stored = self.removed.remove(key);
        &mut self.rows.entry(key.clone()).or_insert_with(|| Held { value: R::default(), stored }).value
    }

    /// Puts a row in place of what was there.
    pub(crate) fn put(&mut self, key: R::Key, value: R) {
        let stored = self.removed.remove(&key) || self.rows.get(&key).is_some_and(|held| held.stored);
        self.changed.insert(key.clone());
        self.rows.insert(key, Held { value, stored });
    }

    /// Removes a row and returns it.
    pub(crate) fn remove(&mut self, key: &R::Key) -> Option<R> {
        let held = self.rows.remove(key)?;
        self.changed.remove(key);
        if held.stored {
            self.removed.insert(key.clone());
        }
        Some(held.value)
    }

    /// Returns all rows in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&R::Key, &R)> {
        self.rows.iter().map(|(key, held)| (key, &held.value))
    }

    /// Returns the rows of a range of keys.
    pub(crate) fn range(&self, keys: impl RangeBounds<R::Key>) -> impl Iterator<Item = (&R::Key, &R)> {
        self.rows.range(keys).map(|(key, held)| (key, &held.value))
    }

    /// Removes every row, from the vault as well.
    pub(crate) fn clear(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.rows.clear();
        self.changed.clear();
        self.removed.clear();
        clear(vault, R::TABLE)
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        for key in std::mem::take(&mut self.removed) {
            vault.delete(R::TABLE, &R::key_bytes(&key))?;
        }
        for key in std::mem::take(&mut self.changed) {
            if let Some(held) = self.rows.get_mut(&key) {
                vault.put(R::TABLE, &R::key_bytes(&key), &held.value.encode()?)?;
                held.stored = true;
            }
        }
        Ok(())
    }
}
