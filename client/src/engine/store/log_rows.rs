//! All records of a short log.

use std::collections::{BTreeMap, BTreeSet};

use super::record::Entry;
use crate::engine::codec::{parse, write};
use crate::engine::error::EngineError;
use crate::vault::VaultTransaction;

/// Records read at a time.
const PAGE: usize = 256;

/// All records of a log by position, and which of them have changed since the last flush.
///
/// Positions rise by one, and nobody else appends to these logs. So only the first record after opening is appended at
/// once, to learn its position. The position of each later one is known before, and it is written once, as it is at the
/// end of the step.
pub(crate) struct LogRows<R> {
    rows: BTreeMap<u64, R>,
    next: Option<u64>,
    /// Records that the vault does not have yet.
    new: BTreeSet<u64>,
    changed: BTreeSet<u64>,
}

impl<R: Entry> LogRows<R> {
    /// Reads them.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let mut rows = BTreeMap::new();
        let mut from = 0;
        loop {
            let page = vault.read(R::LOG, from, PAGE)?;
            let last_page = page.len() < PAGE;
            for (position, value) in page {
                rows.insert(position, parse(&value, R::WHAT)?);
                from = position.saturating_add(1);
            }
            if last_page {
                return Ok(Self { rows, next: None, new: BTreeSet::new(), changed: BTreeSet::new() });
            }
        }
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns a record.
    pub(crate) fn get(&self, position: u64) -> Option<&R> {
        self.rows.get(&position)
    }

    /// Returns all records, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &R)> {
        self.rows.iter().map(|(position, row)| (*position, row))
    }

    /// Returns a record for a change.
    pub(crate) fn edit(&mut self, position: u64) -> Option<&mut R> {
        let row = self.rows.get_mut(&position)?;
        self.changed.insert(position);
        Some(row)
    }

    /// Returns all records for changes that need not survive this process.
    pub(crate) fn unsaved(&mut self) -> impl Iterator<Item = &mut R> {
        self.rows.values_mut()
    }

    /// Adds a record and returns its position.
    pub(crate) fn append(&mut self, vault: &mut dyn VaultTransaction, row: R) -> Result<u64, EngineError> {
        let position = match self.next {
            Some(position) => {
                self.new.insert(position);
                position
            }
            None => vault.append(R::LOG, &write(&row)?)?,
        };
        self.next = Some(position.checked_add(1).ok_or(EngineError::Internal)?);
        self.rows.insert(position, row);
        Ok(position)
    }

    /// Removes a record and returns it.
    pub(crate) fn remove(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<Option<R>, EngineError> {
        if self.new.contains(&position) {
            // It takes its position all the same.
            self.append_new(vault)?;
        }
        vault.remove(R::LOG, position)?;
        self.changed.remove(&position);
        Ok(self.rows.remove(&position))
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.append_new(vault)?;
        for position in std::mem::take(&mut self.changed) {
            if let Some(row) = self.rows.get(&position) {
                vault.replace(R::LOG, position, &write(row)?)?;
            }
        }
        Ok(())
    }

    fn append_new(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        for position in std::mem::take(&mut self.new) {
            let row = self.rows.get(&position).ok_or(EngineError::Internal)?;
            if vault.append(R::LOG, &write(row)?)? != position {
                return Err(EngineError::Internal);
            }
            self.changed.remove(&position);
        }
        Ok(())
    }
}
