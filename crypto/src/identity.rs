//! Identity keys: Ed25519, of an account and of a device.
//!
//! The Ed25519 form is the one that is published, pinned and bound into associated data. Diffie–Hellman converts it to X25519
//! by the birational map. The X25519 form is never published, because two Ed25519 keys map to each X25519 key.
//!
//! Account keys and device keys are distinct types, so that one is never passed where the other is needed.

use core::fmt;
use core::hash::{Hash, Hasher};
use sealpost_sabotage::{Countermeasure, refuses};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::labels::ED25519_TYPE;

/// The bytes are not a usable Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityKeyError {
    /// The bytes are not the canonical encoding of a point on the curve.
    #[error("an identity key is not a canonical point")]
    NotCanonical,
    /// A point of small order: it would accept signatures that nobody made, and anyone could compute its Diffie–Hellman
    /// secrets.
    #[error("an identity key has small order")]
    SmallOrder,
}

/// The signature was not made by this key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature does not verify")]
pub struct BadSignature;

/// An Ed25519 signature that is not verified yet: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; Self::LEN]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Wraps the bytes without checking them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the signature's bytes: R (32) ‖ s (32).
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Signature({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Decodes strictly, because `VerifyingKey::from_bytes` follows ZIP-215 and accepts non-canonical encodings.
fn decode(bytes: &[u8; 32]) -> Result<VerifyingKey, IdentityKeyError> {
    if refuses(Countermeasure::ContributoryKeys, is_at_least_p(bytes)) {
        return Err(IdentityKeyError::NotCanonical);
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| IdentityKeyError::NotCanonical)?;
    if refuses(Countermeasure::ContributoryKeys, key.is_weak()) { Err(IdentityKeyError::SmallOrder) } else { Ok(key) }
}

/// Returns whether the y coordinate is p = 2^255 − 19 or more, which makes it a second encoding of a smaller one.
///
/// The only other second encodings have a set sign where x = 0. Those are y = ±1, which have small order.
fn is_at_least_p(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed
}

macro_rules! identity_key {
    ($(#[$public_doc:meta])* $public:ident, $(#[$pair_doc:meta])* $pair:ident) => {
        $(#[$public_doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $public(VerifyingKey);

        impl $public {
            /// Length of the published form in bytes.
            pub const LEN: usize = 32;

            /// Decodes the published form strictly.
            ///
            /// # Errors
            /// [`IdentityKeyError`] if the bytes are not a canonical point, or a point of small order.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentityKeyError> {
                decode(bytes).map(Self)
            }

            /// Returns the published form: the Ed25519 public key `A`.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// Returns `Encode(A) = 0x06 ‖ A`, 33 bytes, the form that associated data binds.
            #[must_use]
            pub fn encode(&self) -> [u8; 33] {
                let mut encoded = [ED25519_TYPE; 33];
                if let Some(key) = encoded.last_chunk_mut::<32>() {
                    *key = *self.as_bytes();
                }
                encoded
            }

            /// Verifies strictly: canonical s, and no R or A of small order.
            pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
                let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
                self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
            }
        }

        impl Hash for $public {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_bytes().hash(state);
            }
        }

        impl fmt::Debug for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.as_bytes();
                write!(f, concat!(stringify!($public), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }

        $(#[$pair_doc])*
        ///
        /// The secret is boxed, so that moving the pair does not copy it, and it is wiped on drop.
        pub struct $pair(Box<SigningKey>);

        impl $pair {
            /// Length of the seed in bytes.
            pub const SEED_LEN: usize = 32;

            /// Draws a new key pair.
            pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
                let mut seed = Zeroizing::new([0; 32]);
                rng.fill_bytes(seed.as_mut());
                Self::from_seed(&seed)
            }

            /// Computes the key pair of a seed (RFC 8032's private key, 32 bytes).
            #[must_use]
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(Box::new(SigningKey::from_bytes(seed)))
            }

            /// Returns the seed, to be stored encrypted. The copy is wiped on drop.
            #[must_use]
            pub fn seed(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes())
            }

            /// Returns the public half.
            #[must_use]
            pub fn public(&self) -> $public {
                $public(self.0.verifying_key())
            }

            /// Signs a message, which must begin with a label.
            pub(crate) fn sign(&self, message: &[u8]) -> Signature {
                Signature(self.0.sign(message).to_bytes())
            }
        }

        impl fmt::Debug for $pair {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($pair), "({:?}, secret hidden)"), self.public())
            }
        }
    };
}

identity_key! {
    /// An account's identity key. Contacts pin it, safety numbers show it, and it signs the device list.
    AccountIdentityKey,
    /// An account's identity key pair. Only the primary device has the secret.
    AccountIdentityKeyPair
}
identity_key! {
    /// A device's identity key: `IK` of X3DH. It signs the device's prekeys and its requests to the server.
    DeviceIdentityKey,
    /// A device's identity key pair.
    DeviceIdentityKeyPair
}

#[cfg(feature = "session")]
impl DeviceIdentityKey {
    /// Decodes without the strict checks, so that tests can show that the agreements refuse bad keys too.
    #[cfg(test)]
    pub(crate) fn unchecked(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    /// Converts to X25519, for Diffie–Hellman only.
    pub(crate) fn to_x25519(self) -> x25519_dalek::PublicKey {
        x25519_dalek::PublicKey::from(self.0.to_montgomery().to_bytes())
    }
}

#[cfg(feature = "session")]
impl DeviceIdentityKeyPair {
    /// Converts to X25519, for Diffie–Hellman only: the scalar of RFC 8032, which X25519 clamps.
    pub(crate) fn to_x25519(&self) -> x25519_dalek::StaticSecret {
        x25519_dalek::StaticSecret::from(*Zeroizing::new(self.0.to_scalar_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(low: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[0] = low;
        bytes[31] = 0x7f;
        bytes
    }

    #[test]
    fn threat_10_an_identity_key_that_is_not_canonical_is_refused() {
        for low in 0xed..=0xff {
            for sign in [0, 0x80] {
                let mut bytes = canonical(low);
                bytes[31] |= sign;
                assert_eq!(AccountIdentityKey::from_bytes(&bytes), Err(IdentityKeyError::NotCanonical), "{bytes:02x?}");
            }
        }
    }

    #[test]
    fn threat_10_an_identity_key_of_small_order_is_refused() {
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            let mut bytes = point.compress().to_bytes();
            assert_eq!(DeviceIdentityKey::from_bytes(&bytes), Err(IdentityKeyError::SmallOrder));
            bytes[31] ^= 0x80;
            assert!(DeviceIdentityKey::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn a_seed_gives_the_same_pair_again() {
        let pair = DeviceIdentityKeyPair::from_seed(&[7; 32]);
        assert_eq!(*pair.seed(), [7; 32]);
        assert_eq!(DeviceIdentityKey::from_bytes(pair.public().as_bytes()), Ok(pair.public()));
        assert_eq!(pair.public().encode()[0], 0x06);
        assert_eq!(&pair.public().encode()[1..], pair.public().as_bytes());
    }

    #[test]
    fn a_key_pair_never_prints_its_secret() {
        let pair = AccountIdentityKeyPair::from_seed(&[0x5a; 32]);
        assert_eq!(format!("{pair:?}"), format!("AccountIdentityKeyPair({:?}, secret hidden)", pair.public()));
    }

    #[test]
    fn a_signature_binds_key_and_message() {
        let pair = DeviceIdentityKeyPair::from_seed(&[1; 32]);
        let other = DeviceIdentityKeyPair::from_seed(&[2; 32]);
        let signature = pair.sign(b"message");
        assert_eq!(pair.public().verify(b"message", &signature), Ok(()));
        assert_eq!(pair.public().verify(b"massage", &signature), Err(BadSignature));
        assert_eq!(other.public().verify(b"message", &signature), Err(BadSignature));
    }
}
