//! `RK`: the root chain (double ratchet revision 4, section 2.3).

use x25519_dalek::SharedSecret;
use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use crate::kdf;
use crate::labels;

/// `RK`, 32 bytes.
#[derive(Clone)]
pub(crate) struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// Length in bytes.
    pub(crate) const LEN: usize = 32;

    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Performs `KDF_RK(RK, DH) = HKDF-SHA-256(salt RK, DH, "Sealpost Root Chain", 64)`: returns the next root key and the
    /// key of a new chain.
    pub(crate) fn advance(&self, dh: &SharedSecret) -> (Self, ChainKey) {
        let output = kdf::hkdf::<64>(&self.0, dh.as_bytes(), labels::ROOT_CHAIN_INFO);
        let (mut root, mut chain) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        let (first, second) = output.split_at(32);
        root.copy_from_slice(first);
        chain.copy_from_slice(second);
        (Self(root), ChainKey::new(chain))
    }
}
