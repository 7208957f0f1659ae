//! A record that may be absent.

use super::record::Record;
use crate::engine::codec::{parse, write};
use crate::engine::error::EngineError;
use crate::vault::VaultTransaction;

/// A record that is there or not, and whether that has changed since the last flush.
pub(crate) struct Single<R> {
    value: Option<R>,
    changed: bool,
}

impl<R: Record> Single<R> {
    /// Reads it.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let value = vault.get(R::TABLE, R::KEY)?;
        Ok(Self { value: value.map(|bytes| parse(&bytes, R::WHAT)).transpose()?, changed: false })
    }

    /// Returns the record.
    pub(crate) const fn get(&self) -> Option<&R> {
        self.value.as_ref()
    }

    /// Returns the record for a change.
    pub(crate) fn edit(&mut self) -> Option<&mut R> {
        self.changed |= self.value.is_some();
        self.value.as_mut()
    }

    /// Puts a record in place of what was there.
    pub(crate) fn set(&mut self, value: R) {
        self.value = Some(value);
        self.changed = true;
    }

    /// Removes the record and returns it.
    pub(crate) fn take(&mut self) -> Option<R> {
        self.changed |= self.value.is_some();
        self.value.take()
    }

    /// Writes it if it has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        if std::mem::take(&mut self.changed) {
            match &self.value {
                Some(value) => vault.put(R::TABLE, R::KEY, &write(value)?)?,
                None => {
                    vault.delete(R::TABLE, R::KEY)?;
                }
            }
        }
        Ok(())
    }
}
