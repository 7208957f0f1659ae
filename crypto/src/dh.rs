//! X25519, in the one place that calls it, so that a faster implementation has one place to go.

use rand_core::CryptoRng;
use sealpost_sabotage::{Countermeasure, without};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::prekey::PrekeyPublic;

/// A Diffie–Hellman output was all zeros: the other side's key has low order, and the "secret" is known to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key agreement gave an all-zero secret")]
pub struct NonContributory;

/// `DH(ours, theirs)`, refused if it is all zeros (X3DH section 4 and RFC 7748 section 6.1).
///
/// Keys of low order are refused when they are decoded; this is the second lock on the same door.
pub(crate) fn diffie_hellman(ours: &StaticSecret, theirs: &PublicKey) -> Result<SharedSecret, NonContributory> {
    let shared = ours.diffie_hellman(theirs);
    if shared.was_contributory() || without(Countermeasure::ContributoryKeys) {
        Ok(shared)
    } else {
        Err(NonContributory)
    }
}

impl PrekeyPublic {
    pub(crate) fn to_x25519(self) -> PublicKey {
        PublicKey::from(*self.as_bytes())
    }
}

/// An X25519 key pair that keeps its public half: computing it anew for every message costs more than all the rest of one.
#[derive(Clone)]
pub(crate) struct RatchetKeyPair {
    secret: StaticSecret,
    public: PrekeyPublic,
}

impl RatchetKeyPair {
    pub(crate) const LEN: usize = 64;

    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        let public = PrekeyPublic::of_secret(&secret);
        Self { secret: StaticSecret::from(*secret), public }
    }

    /// Both halves as they were stored; that they belong together is not computed again.
    pub(crate) fn from_stored(secret: &[u8; 32], public: PrekeyPublic) -> Self {
        Self { secret: StaticSecret::from(*secret), public }
    }

    pub(crate) fn public(&self) -> &PrekeyPublic {
        &self.public
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.secret
    }

    pub(crate) fn agree(&self, theirs: &PrekeyPublic) -> Result<SharedSecret, NonContributory> {
        diffie_hellman(&self.secret, &theirs.to_x25519())
    }
}
