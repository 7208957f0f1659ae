//! X25519. Only this module calls it, so that another implementation can replace it in one place.

use rand_core::CryptoRng;
use sealpost_sabotage::{Countermeasure, holds};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::prekey::PrekeyPublic;

/// A Diffie–Hellman output was all zeros: the other side's key has low order, and anyone can compute the "secret".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key agreement gave an all-zero secret")]
pub struct NonContributory;

/// Computes `DH(ours, theirs)` and refuses an all-zero result (X3DH section 4 and RFC 7748 section 6.1).
///
/// Decoding already refuses keys of low order; this check holds even if one got past it.
pub(crate) fn diffie_hellman(ours: &StaticSecret, theirs: &PublicKey) -> Result<SharedSecret, NonContributory> {
    let shared = ours.diffie_hellman(theirs);
    if holds(Countermeasure::ContributoryKeys, shared.was_contributory()) { Ok(shared) } else { Err(NonContributory) }
}

impl PrekeyPublic {
    /// Returns the key in the form that the X25519 implementation takes.
    pub(crate) fn to_x25519(self) -> PublicKey {
        PublicKey::from(*self.as_bytes())
    }
}

/// An X25519 key pair that keeps its public half, because computing it again for every message would cost more than the rest
/// of the encryption.
#[derive(Clone)]
pub(crate) struct RatchetKeyPair {
    secret: StaticSecret,
    public: PrekeyPublic,
}

impl RatchetKeyPair {
    /// Length of the stored form in bytes: secret (32) ‖ public (32).
    pub(crate) const LEN: usize = 64;

    /// Draws a new key pair.
    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        let public = PrekeyPublic::of_secret(&secret);
        Self { secret: StaticSecret::from(*secret), public }
    }

    /// Restores a stored pair without checking that its halves belong together; the caller's storage is authenticated.
    pub(crate) fn from_stored(secret: &[u8; 32], public: PrekeyPublic) -> Self {
        Self { secret: StaticSecret::from(*secret), public }
    }

    pub(crate) fn public(&self) -> &PrekeyPublic {
        &self.public
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.secret
    }

    /// Computes `DH(secret, theirs)`, refused if it is all zeros.
    pub(crate) fn agree(&self, theirs: &PrekeyPublic) -> Result<SharedSecret, NonContributory> {
        diffie_hellman(&self.secret, &theirs.to_x25519())
    }
}
