//! What a vault remembers of its own openings.
//!
//! ```text
//! state, before it is sealed = generation (u64 be) ‖ rolled back (0x00 or 0x01)
//! ```

use rand_core::CryptoRng;

use super::sealer::{Place, Sealer};
use crate::vault::error::VaultError;

/// What a vault remembers of its own openings. It is sealed, so that nobody who restores an old copy can make it look new.
#[derive(Clone, Copy)]
pub(in crate::vault) struct State {
    /// How often the vault was opened.
    pub(in crate::vault) generation: u64,
    /// Whether a roll-back was seen and not settled since.
    pub(in crate::vault) rolled_back: bool,
}

impl State {
    /// The state of a vault that was never opened.
    pub(in crate::vault) const NEW: Self = Self { generation: 0, rolled_back: false };

    /// Returns the state after an opening by someone who has seen this generation of the vault, or a newer one (0 if that
    /// is not known). A vault that is older than what was seen was rolled back.
    #[must_use]
    pub(in crate::vault) fn opened(self, seen: u64) -> Self {
        Self {
            generation: self.generation.max(seen).saturating_add(1),
            rolled_back: self.rolled_back || self.generation < seen,
        }
    }

    /// Returns the sealed form.
    pub(in crate::vault) fn seal(self, rng: &mut impl CryptoRng, sealer: &Sealer) -> Result<Vec<u8>, VaultError> {
        sealer.seal(rng, Place::State, &[&self.generation.to_be_bytes(), &[u8::from(self.rolled_back)]])
    }

    /// Opens the sealed form.
    pub(in crate::vault) fn unseal(sealer: &Sealer, sealed: &[u8]) -> Result<Self, VaultError> {
        let bytes = sealer.open(Place::State, sealed)?;
        let (generation, rest) = bytes.split_first_chunk().ok_or_else(|| Place::State.damaged())?;
        let rolled_back = match rest {
            [0] => false,
            [1] => true,
            _ => return Err(Place::State.damaged()),
        };
        Ok(Self { generation: u64::from_be_bytes(*generation), rolled_back })
    }
}
