//! Prekeys: the X25519 keys that a device leaves with the server, so that others can write to it while it is away.
//!
//! A [`SignedPrekey`] comes from the server and proves nothing. [`SignedPrekey::verify`] turns it into a
//! [`VerifiedSignedPrekey`], the only form that a key agreement takes (X3DH section 3.3).

use core::fmt;
use sealpost_sabotage::{Countermeasure, holds, or_planted, refuses};

use curve25519_dalek::montgomery::MontgomeryPoint;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identity::{DeviceIdentityKey, DeviceIdentityKeyPair, Signature};
use crate::ids::{DeviceAddress, OneTimePrekeyId, SignedPrekeyId, UnixMillis};
use crate::labels;
use crate::reader::{Reader, WrongLength};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a new signed prekey is valid: 45 days, so that a device that is away for a month can still be written to.
pub const SIGNED_PREKEY_LIFETIME_MS: u64 = 45 * DAY_MS;
/// The age at which an online device replaces its signed prekey: 7 days.
pub const SIGNED_PREKEY_ROTATION_MS: u64 = 7 * DAY_MS;
/// How long the private half is kept after expiry: 35 days, because a message may wait in the queue for 30.
pub const SIGNED_PREKEY_GRACE_MS: u64 = 35 * DAY_MS;
/// How long a one-time prekey's private half is kept after the server no longer has the public one: 80 days.
pub const ONE_TIME_PREKEY_KEPT_MS: u64 = 80 * DAY_MS;
/// The most one-time prekeys in one upload, so that its body stays at a few KiB.
pub const ONE_TIME_PREKEYS_MAX_UPLOAD: usize = 100;
/// The most one-time prekeys that the server stores for a device.
pub const ONE_TIME_PREKEYS_MAX_STORED: usize = 200;
/// The share of a full upload, in percent, below which the server asks the device for more.
pub const ONE_TIME_PREKEYS_LOW_PERCENT: usize = 25;
/// The same share as a number of keys: fewer are too few.
pub const ONE_TIME_PREKEYS_LOW: usize = ONE_TIME_PREKEYS_MAX_UPLOAD * ONE_TIME_PREKEYS_LOW_PERCENT / 100;

/// The bytes are not a usable X25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrekeyError {
    /// u ≥ 2^255 − 19: a second encoding of another key.
    #[error("a prekey is not canonical")]
    NotCanonical,
    /// A point of low order, with which every shared secret is zero.
    #[error("a prekey has low order")]
    LowOrder,
}

/// An X25519 public key: 32 bytes, canonical and not of low order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrekeyPublic([u8; 32]);

/// The u coordinates of all points of low order on the curve and its twist, canonically encoded (RFC 7748 section 6.1 warns
/// of them).
pub(crate) const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
];

impl PrekeyPublic {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Decodes strictly.
    ///
    /// # Errors
    /// [`PrekeyError`] for u ≥ p (a set top bit included) and for points of low order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PrekeyError> {
        if refuses(Countermeasure::ContributoryKeys, is_at_least_p(bytes)) {
            return Err(PrekeyError::NotCanonical);
        }
        if refuses(Countermeasure::ContributoryKeys, LOW_ORDER.contains(bytes)) {
            return Err(PrekeyError::LowOrder);
        }
        Ok(Self(*bytes))
    }

    /// Returns the u coordinate, little-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns `Encode(u) = 0x05 ‖ u`, 33 bytes, the form that is signed.
    #[must_use]
    pub fn encode(&self) -> [u8; 33] {
        let key_type = or_planted(Countermeasure::KeyEncoding, labels::X25519_TYPE, labels::ED25519_TYPE);
        let mut encoded = [key_type; 33];
        if let Some(key) = encoded.last_chunk_mut::<32>() {
            *key = self.0;
        }
        encoded
    }

    /// Wraps the bytes unchecked, so that tests can show that the agreements refuse bad keys too.
    #[cfg(all(test, feature = "session"))]
    pub(crate) fn unchecked(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Computes the public half of a secret. It needs no check: a clamped scalar times the base point has prime order.
    pub(crate) fn of_secret(secret: &[u8; 32]) -> Self {
        Self(MontgomeryPoint::mul_base_clamped(*secret).to_bytes())
    }
}

/// Returns whether u is p = 2^255 − 19 or more, or has its unused top bit set: a second encoding of another key.
fn is_at_least_p(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *last > 0x7f || (*last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed)
}

impl fmt::Debug for PrekeyPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PrekeyPublic({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A signed prekey as the server returns it, not verified yet: `SPK` of X3DH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedPrekey {
    /// Its id.
    pub id: SignedPrekeyId,
    /// The public key.
    pub key: PrekeyPublic,
    /// The time from which the prekey must not be used.
    pub expires_at: UnixMillis,
    /// The signature by the device's identity key.
    pub signature: Signature,
}

/// A signed prekey that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignedPrekeyError {
    /// The device did not sign this key with this address, id and expiry: it is forged, or another device's.
    #[error("a signed prekey's signature does not verify")]
    Signature,
    /// The signature is valid but the prekey has expired: the device has been away, or the server withholds a newer one.
    #[error("a signed prekey has expired")]
    Expired,
}

impl SignedPrekey {
    /// Verifies the signature, then the expiry.
    ///
    /// Signed bytes: label ‖ account id (16) ‖ device id (1) ‖ registration id (32) ‖ key id (u32, big-endian) ‖
    /// `Encode(key)` (33) ‖ expiry (u64, big-endian, ms).
    ///
    /// # Errors
    /// [`SignedPrekeyError`] if the signature is not the device's, or the prekey has expired at `now`.
    pub fn verify(
        &self,
        address: &DeviceAddress,
        identity: &DeviceIdentityKey,
        now: UnixMillis,
    ) -> Result<VerifiedSignedPrekey, SignedPrekeyError> {
        let signed = signed_bytes(address, self.id, &self.key, self.expires_at);
        if !holds(Countermeasure::SignedPrekeySignature, identity.verify(&signed, &self.signature).is_ok()) {
            return Err(SignedPrekeyError::Signature);
        }
        if refuses(Countermeasure::SignedPrekeyExpiry, now >= self.expires_at) {
            return Err(SignedPrekeyError::Expired);
        }
        Ok(VerifiedSignedPrekey { id: self.id, key: self.key })
    }
}

fn signed_bytes(address: &DeviceAddress, id: SignedPrekeyId, key: &PrekeyPublic, expires_at: UnixMillis) -> Vec<u8> {
    let label = or_planted(Countermeasure::KeyEncoding, labels::SIGNED_PREKEY, &[]);
    [label, &address.to_bytes(), &id.0.to_be_bytes(), &key.encode(), &expires_at.0.to_be_bytes()].concat()
}

/// A signed prekey whose signature and expiry were checked. Only [`SignedPrekey::verify`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSignedPrekey {
    id: SignedPrekeyId,
    key: PrekeyPublic,
}

impl VerifiedSignedPrekey {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> SignedPrekeyId {
        self.id
    }

    /// Returns the public key.
    #[must_use]
    pub fn key(&self) -> &PrekeyPublic {
        &self.key
    }
}

/// A one-time prekey's public half: `OPK` of X3DH. It needs no signature: the secret also depends on the device's identity
/// key, so a server that invents a one-time prekey only breaks the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneTimePrekey {
    /// Its id.
    pub id: OneTimePrekeyId,
    /// The public key.
    pub key: PrekeyPublic,
}

/// The stored bytes are not a prekey pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored prekey bytes have the wrong length")]
pub struct PrekeyPairDecodeError;

impl From<WrongLength> for PrekeyPairDecodeError {
    fn from(WrongLength: WrongLength) -> Self {
        Self
    }
}

/// Draws a secret straight into its box, so that no copy is left on the stack.
fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> Box<Zeroizing<[u8; 32]>> {
    let mut secret = Box::new(Zeroizing::new([0; 32]));
    rng.fill_bytes(secret.as_mut().as_mut());
    secret
}

/// A signed prekey with its private half, which is boxed and wiped on drop.
#[derive(Clone)]
pub struct SignedPrekeyPair {
    id: SignedPrekeyId,
    expires_at: UnixMillis,
    secret: Box<Zeroizing<[u8; 32]>>,
    public: PrekeyPublic,
}

impl SignedPrekeyPair {
    /// Length of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = 44;

    /// Draws a new pair that expires [`SIGNED_PREKEY_LIFETIME_MS`] after `now`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R, id: SignedPrekeyId, now: UnixMillis) -> Self {
        let secret = draw(rng);
        let public = PrekeyPublic::of_secret(&secret);
        Self { id, expires_at: now.saturating_add(SIGNED_PREKEY_LIFETIME_MS), secret, public }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> SignedPrekeyId {
        self.id
    }

    /// Returns the time from which senders refuse it.
    #[must_use]
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Returns the time from which the private half must be deleted: no message that needs it can still be queued.
    #[must_use]
    pub fn keep_until(&self) -> UnixMillis {
        self.expires_at.saturating_add(SIGNED_PREKEY_GRACE_MS)
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> &PrekeyPublic {
        &self.public
    }

    /// Signs the public half for upload. `address` and `identity` must be the device's own.
    #[must_use]
    pub fn signed(&self, address: &DeviceAddress, identity: &DeviceIdentityKeyPair) -> SignedPrekey {
        let signature = identity.sign(&signed_bytes(address, self.id, &self.public, self.expires_at));
        SignedPrekey { id: self.id, key: self.public, expires_at: self.expires_at, signature }
    }

    /// Returns the stored form, to be encrypted: id (u32) ‖ expiry (u64) ‖ secret (32), big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let id = self.id.0.to_be_bytes();
        let expires_at = self.expires_at.0.to_be_bytes();
        Zeroizing::new([id.as_slice(), expires_at.as_slice(), self.secret.as_slice()].concat())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`PrekeyPairDecodeError`] for any other length than [`LEN`](Self::LEN).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrekeyPairDecodeError> {
        let mut reader = Reader::new(bytes);
        let id = SignedPrekeyId(reader.u32()?);
        let expires_at = UnixMillis(reader.u64()?);
        let secret = Box::new(Zeroizing::new(*reader.array()?));
        reader.end()?;
        let public = PrekeyPublic::of_secret(&secret);
        Ok(Self { id, expires_at, secret, public })
    }
}

impl fmt::Debug for SignedPrekeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, expires_at, secret: _, public } = self;
        write!(f, "SignedPrekeyPair({id}, expires {expires_at}, {public:?}, secret hidden)")
    }
}

/// A one-time prekey with its private half, which is boxed and wiped on drop.
#[derive(Clone)]
pub struct OneTimePrekeyPair {
    id: OneTimePrekeyId,
    secret: Box<Zeroizing<[u8; 32]>>,
    public: PrekeyPublic,
}

impl OneTimePrekeyPair {
    /// Length of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = 36;

    /// Draws a new pair.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R, id: OneTimePrekeyId) -> Self {
        let secret = draw(rng);
        let public = PrekeyPublic::of_secret(&secret);
        Self { id, secret, public }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> OneTimePrekeyId {
        self.id
    }

    /// Returns the public half for upload.
    #[must_use]
    pub fn public(&self) -> OneTimePrekey {
        OneTimePrekey { id: self.id, key: self.public }
    }

    /// Returns the stored form, to be encrypted: id (u32, big-endian) ‖ secret (32).
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.id.0.to_be_bytes().as_slice(), self.secret.as_slice()].concat())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`PrekeyPairDecodeError`] for any other length than [`LEN`](Self::LEN).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrekeyPairDecodeError> {
        let mut reader = Reader::new(bytes);
        let id = OneTimePrekeyId(reader.u32()?);
        let secret = Box::new(Zeroizing::new(*reader.array()?));
        reader.end()?;
        let public = PrekeyPublic::of_secret(&secret);
        Ok(Self { id, secret, public })
    }
}

impl fmt::Debug for OneTimePrekeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, public } = self;
        write!(f, "OneTimePrekeyPair({id}, {public:?}, secret hidden)")
    }
}

#[cfg(feature = "session")]
impl SignedPrekeyPair {
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

#[cfg(feature = "session")]
impl OneTimePrekeyPair {
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

#[cfg(test)]
mod tests;
