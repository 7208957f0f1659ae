//! The vault key: 32 random bytes.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The key that everything in a vault is sealed under.
pub(in crate::vault) type VaultKey = Zeroizing<[u8; 32]>;

/// Returns a new vault key.
pub(in crate::vault) fn generate(rng: &mut impl CryptoRng) -> VaultKey {
    let mut key = Zeroizing::new([0_u8; 32]);
    rng.fill_bytes(key.as_mut_slice());
    key
}
