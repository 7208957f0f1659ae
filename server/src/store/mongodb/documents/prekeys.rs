//! Prekeys of devices.

use mongodb::bson::Binary;
use mongodb::bson::oid::ObjectId;
use sealpost_api::ids::KeyEpoch;
use sealpost_crypto::{
    DeviceAddress, OneTimePrekey, OneTimePrekeyId, PrekeyPublic, Signature, SignedPrekey, SignedPrekeyId,
};
use serde::{Deserialize, Serialize};

use crate::domain::key_epochs::FIRST_KEY_EPOCH;
use crate::domain::uploads::StoredKeys;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// The prekeys of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prekeys {
    #[serde(rename = "_id")]
    pub(crate) id: Binary,
    pub(crate) account: Binary,
    pub(crate) key_epoch: i64,
    pub(crate) max_issued: i64,
    pub(crate) signed: Option<Signed>,
    /// Ascending by id.
    pub(crate) one_time: Vec<OneTime>,
    /// The one that was taken last. A take reads here what it took.
    pub(crate) taken: Option<OneTime>,
    /// The attempt that last prepared the device for a list. Only that attempt may take it back.
    pub(crate) begun: ObjectId,
    /// Whether the device has left its list.
    pub(crate) removed: bool,
}

/// A signed prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) id: i64,
    pub(crate) key: Binary,
    pub(crate) expires_at: i64,
    pub(crate) signature: Binary,
}

/// A one-time prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OneTime {
    pub(crate) id: i64,
    pub(crate) key: Binary,
}

impl Prekeys {
    /// The document of a device that has uploaded nothing.
    pub(crate) fn none_yet(address: &DeviceAddress) -> Self {
        Self {
            id: values::address(address),
            account: values::account(address.account),
            key_epoch: i64::from(FIRST_KEY_EPOCH.0),
            max_issued: 0,
            signed: None,
            one_time: Vec::new(),
            taken: None,
            begun: ObjectId::new(),
            removed: false,
        }
    }

    /// Returns the key epoch as clients know it.
    pub(crate) fn key_epoch(&self) -> KeyEpoch {
        KeyEpoch(u32::try_from(self.key_epoch).unwrap_or(u32::MAX))
    }

    /// Returns how many one-time prekeys are left.
    pub(crate) fn one_time_left(&self) -> u32 {
        u32::try_from(self.one_time.len()).unwrap_or(u32::MAX)
    }

    /// Returns the keys as the rules for uploads take them.
    pub(crate) fn stored(&self) -> Result<StoredKeys, DbError> {
        let one_time = self.one_time.iter().map(|key| Ok((values::small(key.id)?, values::fixed(&key.key)?)));
        Ok(StoredKeys {
            key_epoch: self.key_epoch(),
            max_issued: values::small(self.max_issued)?,
            one_time: one_time.collect::<Result<_, DbError>>()?,
            signed: self.signed.as_ref().map(Signed::value).transpose()?,
        })
    }
}

/// Returns the public key in a binary.
fn prekey(key: &Binary) -> Result<PrekeyPublic, DbError> {
    PrekeyPublic::from_bytes(&values::fixed(key)?).map_err(|_| DbError::Corrupt("a prekey that cannot be"))
}

impl Signed {
    /// A prekey as it is stored.
    pub(crate) fn new(signed: &SignedPrekey) -> Self {
        Self {
            id: i64::from(signed.id.0),
            key: values::binary(signed.key.as_bytes()),
            expires_at: values::time(signed.expires_at),
            signature: values::binary(signed.signature.as_bytes()),
        }
    }

    /// Returns the prekey.
    pub(crate) fn value(&self) -> Result<SignedPrekey, DbError> {
        Ok(SignedPrekey {
            id: SignedPrekeyId(values::small(self.id)?),
            key: prekey(&self.key)?,
            expires_at: values::millis(self.expires_at),
            signature: Signature::from_bytes(values::fixed(&self.signature)?),
        })
    }
}

impl OneTime {
    /// A prekey as it is stored.
    pub(crate) fn new(key: &OneTimePrekey) -> Self {
        Self { id: i64::from(key.id.0), key: values::binary(key.key.as_bytes()) }
    }

    /// Returns the prekey.
    pub(crate) fn value(&self) -> Result<OneTimePrekey, DbError> {
        Ok(OneTimePrekey { id: OneTimePrekeyId(values::small(self.id)?), key: prekey(&self.key)? })
    }
}
