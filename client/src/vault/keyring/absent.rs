//! What stands in for the key ring in a build that has none.

use super::port::{Entry, Keyring, VaultId};
use crate::vault::error::VaultError;

/// A key ring that is not there.
pub(in crate::vault) struct AbsentKeyring;

const ABSENT: VaultError = VaultError::KeyringUnavailable { reason: "this program is built without it" };

impl Keyring for AbsentKeyring {
    fn load(&self, _label: &str, _vault: &VaultId) -> Result<Entry, VaultError> {
        Err(ABSENT)
    }

    fn save(&self, _label: &str, _vault: &VaultId, _entry: &Entry) -> Result<(), VaultError> {
        Err(ABSENT)
    }
}
