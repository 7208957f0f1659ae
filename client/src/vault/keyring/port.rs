//! What a vault asks of a key ring.

use std::fmt;

use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::sealing::VaultKey;

/// Length of the random name of a vault.
const VAULT_ID_LEN: usize = 16;
/// The random name of a vault. A key ring finds its key by it, so that a new profile never overwrites another's key.
pub(in crate::vault) type VaultId = [u8; VAULT_ID_LEN];

/// Where the vault key comes from.
#[derive(Clone)]
pub enum VaultKeySource {
    /// Wrapped under Argon2id of this passphrase.
    Passphrase(Zeroizing<String>),
    /// Kept by the Secret Service, found by this label.
    Keyring {
        /// Names the vault among others.
        label: String,
    },
}

impl fmt::Debug for VaultKeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(_) => formatter.write_str("Passphrase(..)"),
            Self::Keyring { label } => write!(formatter, "Keyring({label})"),
        }
    }
}

/// What a key ring keeps for one vault.
#[derive(Clone)]
pub(in crate::vault) struct Entry {
    pub(in crate::vault) key: VaultKey,
    /// The newest generation of the vault that was seen. A vault whose own generation is lower is an older copy.
    pub(in crate::vault) generation: u64,
}

/// A place where vault keys are kept.
pub(in crate::vault) trait Keyring {
    /// Reads the entry of a vault.
    fn load(&self, label: &str, vault: &VaultId) -> Result<Entry, VaultError>;
    /// Writes the entry of a vault, replacing its older one. A person sees the label beside it.
    fn save(&self, label: &str, vault: &VaultId, entry: &Entry) -> Result<(), VaultError>;
}
