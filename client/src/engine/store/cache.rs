//! Rows of a table that is too large for memory.

use std::collections::BTreeMap;

use super::record::{Row, clear};
use crate::engine::error::EngineError;
use crate::vault::VaultTransaction;

struct Held<R> {
    value: R,
    changed: bool,
}

/// The rows that were used last, and which of them have changed since the last flush. The others are read when needed.
pub(crate) struct Cache<R: Row> {
    rows: BTreeMap<R::Key, Held<R>>,
    most: usize,
}

impl<R: Row> Cache<R> {
    /// Returns an empty cache of at most `most` rows.
    pub(crate) const fn new(most: usize) -> Self {
        Self { rows: BTreeMap::new(), most }
    }

    /// Returns a row.
    pub(crate) fn get(&mut self, vault: &mut dyn VaultTransaction, key: &R::Key) -> Result<Option<&R>, EngineError> {
        self.load(vault, key)?;
        Ok(self.rows.get(key).map(|held| &held.value))
    }

    /// Returns a row for a change.
    pub(crate) fn edit(
        &mut self,
        vault: &mut dyn VaultTransaction,
        key: &R::Key,
    ) -> Result<Option<&mut R>, EngineError> {
        self.load(vault, key)?;
        Ok(self.rows.get_mut(key).map(|held| {
            held.changed = true;
            &mut held.value
        }))
    }

    /// Returns a row for a try that may leave it as it is; a change is to be [marked](Self::mark).
    pub(crate) fn attempt(
        &mut self,
        vault: &mut dyn VaultTransaction,
        key: &R::Key,
    ) -> Result<Option<&mut R>, EngineError> {
        self.load(vault, key)?;
        Ok(self.rows.get_mut(key).map(|held| &mut held.value))
    }

    /// Marks a row as changed.
    pub(crate) fn mark(&mut self, key: &R::Key) {
        if let Some(held) = self.rows.get_mut(key) {
            held.changed = true;
        }
    }

    /// Returns a row that is in memory already.
    pub(crate) fn peek(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key).map(|held| &held.value)
    }

    /// Puts a row in place of what was there.
    pub(crate) fn put(&mut self, vault: &mut dyn VaultTransaction, key: R::Key, value: R) -> Result<(), EngineError> {
        self.make_room(vault)?;
        self.rows.insert(key, Held { value, changed: true });
        Ok(())
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, vault: &mut dyn VaultTransaction, key: &R::Key) -> Result<(), EngineError> {
        self.rows.remove(key);
        vault.delete(R::TABLE, &R::key_bytes(key))?;
        Ok(())
    }

    /// Changes every row of the table.
    pub(crate) fn edit_all(
        &mut self,
        vault: &mut dyn VaultTransaction,
        mut change: impl FnMut(&mut R),
    ) -> Result<(), EngineError> {
        self.flush(vault)?;
        for (key, value) in vault.entries(R::TABLE)? {
            let key = R::parse_key(&key).ok_or(EngineError::Record { what: R::WHAT })?;
            if let Some(held) = self.rows.get_mut(&key) {
                held.changed = true;
                change(&mut held.value);
            } else {
                let mut row = R::decode(&key, &value)?;
                change(&mut row);
                vault.put(R::TABLE, &R::key_bytes(&key), &row.encode()?)?;
            }
        }
        Ok(())
    }

    /// Removes every row, from the vault as well.
    pub(crate) fn clear(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.rows.clear();
        clear(vault, R::TABLE)
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        for (key, held) in self.rows.iter_mut().filter(|(_, held)| held.changed) {
            vault.put(R::TABLE, &R::key_bytes(key), &held.value.encode()?)?;
            held.changed = false;
        }
        Ok(())
    }

    fn load(&mut self, vault: &mut dyn VaultTransaction, key: &R::Key) -> Result<(), EngineError> {
        if !self.rows.contains_key(key)
            && let Some(bytes) = vault.get(R::TABLE, &R::key_bytes(key))?
        {
            self.make_room(vault)?;
            self.rows.insert(key.clone(), Held { value: R::decode(key, &bytes)?, changed: false });
        }
        Ok(())
    }

    /// Empties a full cache. Reading a row anew costs some microseconds.
    fn make_room(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        if self.rows.len() >= self.most {
            self.flush(vault)?;
            self.rows.clear();
        }
        Ok(())
    }
}
