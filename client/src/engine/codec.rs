//! How the engine's records are written into the vault: JSON, with every binary value as base64url.
//!
//! JSON because records then say what they are and can grow; the vault seals each value, so nothing of it is visible.
//! Large or frequent bytes (sealed frames, ratchet sessions) are stored as they are, without a record around them.

use std::borrow::Cow;

use sealpost_api::encoding::{Binary as _, RefreshToken};
use sealpost_api::ids::{MessageId, ServerId, SessionId, StoreId};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, AccountIdentityKey, DeviceAddress, DeviceIdentityKey, DeviceList, RegistrationId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::error::EngineError;

/// A value with one binary form in the vault's records.
pub(crate) trait Stored: Sized {
    fn stored(&self) -> Cow<'_, [u8]>;
    fn restore(bytes: &[u8]) -> Option<Self>;
}

macro_rules! by_api {
    ($($name:ty),*) => {
        $(impl Stored for $name {
            fn stored(&self) -> Cow<'_, [u8]> {
                self.binary()
            }

            fn restore(bytes: &[u8]) -> Option<Self> {
                Self::from_binary(bytes)
            }
        })*
    };
}

by_api!(
    AccountId,
    RegistrationId,
    SessionId,
    ServerId,
    StoreId,
    MessageId,
    RefreshToken,
    AccountIdentityKey,
    DeviceIdentityKey
);

impl Stored for DeviceAddress {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.to_bytes().to_vec())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes.try_into().ok()?).ok()
    }
}

impl Stored for DeviceList {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.encoded())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }
}

impl Stored for [u8; 32] {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Stored for Zeroizing<[u8; 32]> {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_slice())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }
}

impl Stored for Zeroizing<Vec<u8>> {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_slice())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(bytes.to_vec()))
    }
}

impl Stored for Username {
    fn stored(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_str().as_bytes())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }
}

/// A [`Stored`] value inside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bin<T>(pub(crate) T);

impl<T: Stored> Serialize for Bin<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bin::serialize(&self.0, serializer)
    }
}

impl<'de, T: Stored> Deserialize<'de> for Bin<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bin::deserialize(deserializer).map(Self)
    }
}

/// `#[serde(with = "bin")]` for a field of a [`Stored`] type.
pub(crate) mod bin {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    use super::Stored;

    pub(crate) fn serialize<T: Stored, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(value.stored())))
    }

    pub(crate) fn deserialize<'de, T: Stored, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes =
            Zeroizing::new(URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64url"))?);
        T::restore(&bytes).ok_or_else(|| D::Error::custom("not such a value"))
    }
}

/// A hash that starts as zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bin32(#[serde(with = "bin")] pub(crate) [u8; 32]);

/// Reads a record.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, EngineError> {
    serde_json::from_slice(bytes).map_err(|_| EngineError::Record { what })
}

/// Returns a record's bytes.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    serde_json::to_vec(value).map(Zeroizing::new).map_err(|_| EngineError::Internal)
}

/// Returns a record's bytes as text, for a body that is stored before it is sent.
pub(crate) fn write_text<T: Serialize>(value: &T) -> Result<Zeroizing<String>, EngineError> {
    serde_json::to_string(value).map(Zeroizing::new).map_err(|_| EngineError::Internal)
}
