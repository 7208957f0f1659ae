//! Binary values in JSON: unpadded base64url (RFC 4648 §5), decoded strictly.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealpost_crypto::{AccountId, AccountIdentityKey, DeviceIdentityKey, PrekeyPublic, RegistrationId, Signature};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{MessageId, RefreshTokenHash, ServerId, SessionId, StoreId};

/// A value that JSON carries as base64url.
pub trait Binary: Sized {
    /// What the value is and how long, for error texts and the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// The length of the shortest value, in bytes.
    const BYTES_MIN: usize = Self::BYTES_MAX;
    /// The length of the longest value, in bytes. It is checked before decoding.
    const BYTES_MAX: usize;
    /// Returns the bytes to encode.
    fn binary(&self) -> Cow<'_, [u8]>;
    /// Returns the value with these bytes; `None` when they do not make a valid one.
    fn from_binary(bytes: &[u8]) -> Option<Self>;
}

/// Reads a value from base64url; `None` when the text or the value is not valid.
pub(crate) fn decode<T: Binary>(text: &str) -> Option<T> {
    if text.len() > T::BYTES_MAX.div_ceil(3).saturating_mul(4) {
        return None;
    }
    T::from_binary(&URL_SAFE_NO_PAD.decode(text).ok()?)
}

/// A [`Binary`] value in a JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct B64<T>(pub T);

impl<T: Binary> Serialize for B64<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.binary()))
    }
}

impl<'de, T: Binary> Deserialize<'de> for B64<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);

        impl<T: Binary> Visitor<'_> for Text<T> {
            type Value = B64<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "unpadded base64url of {}", T::DESCRIPTION)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let wrong = || E::custom(format_args!("expected unpadded base64url of {}", T::DESCRIPTION));
                decode(text).map(B64).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

macro_rules! fixed {
    ($($name:ty, $length:literal, $text:literal;)*) => {
        $(impl Binary for $name {
            const DESCRIPTION: &'static str = $text;
            const BYTES_MAX: usize = $length;

            fn binary(&self) -> Cow<'_, [u8]> {
                Cow::Borrowed(self.as_bytes())
            }

            fn from_binary(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_bytes(bytes.try_into().ok()?))
            }
        })*
    };
}

fixed! {
    AccountId, 16, "an account id (16 bytes)";
    RegistrationId, 32, "a registration id (32 bytes)";
    SessionId, 16, "a session id (16 bytes)";
    ServerId, 16, "a server id (16 bytes)";
    StoreId, 16, "a store id (16 bytes)";
    MessageId, 16, "a message id (16 bytes)";
    RefreshTokenHash, 32, "the SHA-256 of a refresh token (32 bytes)";
    Signature, 64, "an Ed25519 signature (64 bytes)";
}

macro_rules! checked {
    ($($name:ty, $length:literal, $text:literal;)*) => {
        $(impl Binary for $name {
            const DESCRIPTION: &'static str = $text;
            const BYTES_MAX: usize = $length;

            fn binary(&self) -> Cow<'_, [u8]> {
                Cow::Borrowed(self.as_bytes())
            }

            fn from_binary(bytes: &[u8]) -> Option<Self> {
                Self::from_bytes(bytes.try_into().ok()?).ok()
            }
        })*
    };
}

checked! {
    AccountIdentityKey, 32, "an account identity key (Ed25519, 32 bytes)";
    DeviceIdentityKey, 32, "a device identity key (Ed25519, 32 bytes)";
    PrekeyPublic, 32, "a prekey (X25519, 32 bytes)";
}

/// A refresh token: 32 random bytes drawn by the client. `Debug` does not print it, and it is wiped when dropped.
#[derive(Clone)]
pub struct RefreshToken([u8; 32]);

impl RefreshToken {
    /// Makes a token of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the token's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the token's SHA-256, which is all that a server stores.
    #[must_use]
    pub fn hash(&self) -> RefreshTokenHash {
        use sha2::Digest as _;
        RefreshTokenHash::from_bytes(sha2::Sha256::digest(self.0).into())
    }
}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RefreshToken(..)")
    }
}

fixed! {
    RefreshToken, 32, "a refresh token (32 bytes)";
}

/// An encoded signed device list of at most [`sealpost_crypto::DEVICE_LIST_MAX_BYTES`] bytes. Nothing else is checked here:
/// [`sealpost_crypto::DeviceList::decode`] does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedDeviceList(pub Vec<u8>);

impl Binary for EncodedDeviceList {
    const DESCRIPTION: &'static str = "a signed device list";
    const BYTES_MIN: usize = 1;
    const BYTES_MAX: usize = sealpost_crypto::DEVICE_LIST_MAX_BYTES;

    fn binary(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn from_binary(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Self::BYTES_MAX).then(|| Self(bytes.to_vec()))
    }
}
