//! A record that begins empty and is always there.

use std::ops::Deref;

use super::record::Record;
use crate::engine::codec::{parse, write};
use crate::engine::error::EngineError;
use crate::vault::VaultTransaction;

/// What the next flush does.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    Write,
    Erase,
}

/// A record with a default, and whether it has changed since the last flush.
pub(crate) struct Kept<R> {
    value: R,
    change: Change,
}

impl<R: Record + Default> Kept<R> {
    /// Reads it, or begins with the default.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let value = vault.get(R::TABLE, R::KEY)?;
        let value = value.map(|bytes| parse(&bytes, R::WHAT)).transpose()?.unwrap_or_default();
        Ok(Self { value, change: Change::Nothing })
    }

    /// Returns the record for a change.
    pub(crate) const fn edit(&mut self) -> &mut R {
        self.change = Change::Write;
        &mut self.value
    }

    /// Puts a record in place of what was there.
    pub(crate) fn set(&mut self, value: R) {
        *self.edit() = value;
    }

    /// Goes back to the default, and removes the record from the vault.
    pub(crate) fn forget(&mut self) {
        self.value = R::default();
        self.change = Change::Erase;
    }

    /// Writes it if it has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        match std::mem::replace(&mut self.change, Change::Nothing) {
            Change::Nothing => {}
            Change::Write => vault.put(R::TABLE, R::KEY, &write(&self.value)?)?,
            Change::Erase => {
                vault.delete(R::TABLE, R::KEY)?;
            }
        }
        Ok(())
    }
}

impl<R> Deref for Kept<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.value
    }
}
