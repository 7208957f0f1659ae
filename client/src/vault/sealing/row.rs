//! A map's row: its key is sealed with its value, so that the keys of a table can be told again.
//!
//! ```text
//! row's value, before it is sealed = length of the key (u32 be) ‖ key ‖ value
//! ```

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::sealer::{Blinded, Place, Sealer};
use crate::vault::error::VaultError;
use crate::vault::port::{Table, Value};

/// Length of the field that says how long a look-up key is.
const KEY_LENGTH_BYTES: usize = 4;

impl Sealer {
    /// Seals a key and its value for the row of the blinded key.
    pub(in crate::vault) fn seal_row(
        &self,
        rng: &mut impl CryptoRng,
        table: Table,
        blinded: &Blinded,
        (key, value): (&[u8], &[u8]),
    ) -> Result<Vec<u8>, VaultError> {
        let length = u32::try_from(key.len()).map_err(|_| VaultError::Damaged { what: "key" })?;
        self.seal(rng, Place::Entry(table, blinded), &[&length.to_be_bytes(), key, value])
    }

    /// Opens a row, and returns its key and its value.
    pub(in crate::vault) fn open_row(
        &self,
        table: Table,
        blinded: &Blinded,
        sealed: &[u8],
    ) -> Result<(Value, Value), VaultError> {
        let place = Place::Entry(table, blinded);
        let opened = self.open(place, sealed)?;
        let (length, rest) = opened.split_first_chunk::<KEY_LENGTH_BYTES>().ok_or_else(|| place.damaged())?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| place.damaged())?;
        let (key, value) = rest.split_at_checked(length).ok_or_else(|| place.damaged())?;
        Ok((Zeroizing::new(key.to_vec()), Zeroizing::new(value.to_vec())))
    }
}
