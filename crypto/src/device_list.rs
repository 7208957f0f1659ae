//! The signed device list: which devices an account has, signed by the account's identity key.
//!
//! The server cannot sign one, so it can neither add a device that listens in nor bring back a removed one. Lists form a hash
//! chain, and a client pins the newest list it saw and refuses an older one.
//!
//! # The one binary form
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | format, 1 |
//! | 1 | 16 | account id |
//! | 17 | 32 | account identity key (Ed25519) |
//! | 49 | 8 | version, big-endian, from 1 |
//! | 57 | 32 | hash of the previous list; zeros in version 1 and only there |
//! | 89 | 1 | 1 if this list begins a new identity, else 0 |
//! | 90 | 1 | number of devices *n*, 1–8; exactly 1 if it begins a new identity |
//! | 91 | 65 *n* | per device, ascending by device id: device id (1) ‖ registration id (32) ‖ device identity key (32) |
//! | 91 + 65 *n* | 64 | signature by the account identity key over `"Sealpost Device List v1\0" ‖ all bytes before` |
//!
//! A list's hash is `SHA-256("Sealpost Device List Hash v1\0" ‖ all bytes before the signature)`.

use sealpost_sabotage::{Countermeasure, holds};
use sha2::{Digest as _, Sha256};

use crate::identity::{AccountIdentityKey, AccountIdentityKeyPair, DeviceIdentityKey, IdentityKeyError, Signature};
use crate::ids::{AccountId, DeviceAddress, DeviceId, ParseIdError, RegistrationId};
use crate::labels;
use crate::reader::{Reader, WrongLength};

/// The most devices an account can have. A message is encrypted for each, so this bounds the cost of sending.
pub const MAX_DEVICES: usize = 8;

const FORMAT: u8 = 1;
const HEAD_LEN: usize = 91;
const ENTRY_LEN: usize = 1 + RegistrationId::LEN + DeviceIdentityKey::LEN;

/// Length of the longest device list in bytes, signature included.
pub const DEVICE_LIST_MAX_BYTES: usize = HEAD_LEN + MAX_DEVICES * ENTRY_LEN + Signature::LEN;

/// One device of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The device's number.
    pub device: DeviceId,
    /// The device's registration, which tells it from earlier holders of the same number.
    pub registration: RegistrationId,
    /// The device's identity key.
    pub identity: DeviceIdentityKey,
}

/// What a device list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceListBody {
    /// The account.
    pub account: AccountId,
    /// The account's identity key, which signs the list.
    pub account_identity: AccountIdentityKey,
    /// The version: 1 for the first list, one more with each next one.
    pub version: u64,
    /// [`DeviceList::hash`] of the previous list; zeros in version 1.
    pub previous_hash: [u8; 32],
    /// Whether this list starts a new account identity key. Such a list has exactly one device.
    pub new_identity: bool,
    /// The devices, ascending by device id.
    pub devices: Vec<DeviceEntry>,
}

impl DeviceListBody {
    /// Returns the body of an account's first list, which has one device.
    #[must_use]
    pub fn first(account: AccountId, account_identity: AccountIdentityKey, device: DeviceEntry) -> Self {
        Self {
            account,
            account_identity,
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![device],
        }
    }
}

/// Why a list is invalid by itself, whatever list came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceListError {
    /// The bytes are shorter or longer than the form requires.
    #[error("a device list has the wrong length")]
    Length,
    /// The format byte is unknown to this version.
    #[error("a device list has an unknown format")]
    UnknownFormat,
    /// The list has no device, or more than [`MAX_DEVICES`].
    #[error("a device list must have 1 to 8 devices")]
    DeviceCount,
    /// The device ids are not ascending, or one appears twice.
    #[error("a device list is not in ascending order of device ids")]
    Order,
    /// A device id is outside 1–127.
    #[error("a device list names an impossible device id")]
    DeviceId,
    /// The version is 0, or version 1 has a previous hash, or a later version has none.
    #[error("a device list's version and previous hash don't fit together")]
    Version,
    /// The new-identity flag is neither 0 nor 1, or is set in version 1 or in a list of several devices.
    #[error("a device list's new-identity mark doesn't fit the list")]
    NewIdentity,
    /// A key of the list does not decode.
    #[error("a device list holds an unusable key")]
    Key(#[source] IdentityKeyError),
    /// The account identity key did not sign the list.
    #[error("a device list's signature does not verify")]
    Signature,
    /// The key given to sign with is not the one that the list names.
    #[error("a device list names another account identity key than the one that is to sign it")]
    WrongSigner,
}

impl From<WrongLength> for DeviceListError {
    fn from(WrongLength: WrongLength) -> Self {
        Self::Length
    }
}

/// Why a list cannot follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// It is another account's list.
    #[error("the next device list is another account's")]
    Account,
    /// Its version is not one more than this list's.
    #[error("the next device list's version is not one more")]
    Version,
    /// It follows a different list of the same version, so the chain is broken.
    #[error("the next device list follows another list")]
    PreviousHash,
    /// It has another identity key and lacks the new-identity flag.
    #[error("the next device list has another identity key without saying so")]
    AccountIdentity,
    /// A device kept its registration id but changed its key, which would let a new device pass for an old one.
    #[error("the next device list changes a device's key under the same registration id")]
    DeviceIdentity,
}

/// A device list whose form and signature are verified. There is no unverified value of this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    body: DeviceListBody,
    encoded: Box<[u8]>,
    hash: [u8; 32],
}

impl DeviceList {
    /// Signs a list.
    ///
    /// # Errors
    /// [`DeviceListError`] if the body breaks a rule of the form, or names a key other than `identity`.
    pub fn sign(identity: &AccountIdentityKeyPair, body: DeviceListBody) -> Result<Self, DeviceListError> {
        if identity.public() != body.account_identity {
            return Err(DeviceListError::WrongSigner);
        }
        check_body(&body)?;
        let mut labelled = labels::DEVICE_LIST.to_vec();
        write_body(&mut labelled, &body)?;
        let signature = identity.sign(&labelled);
        let signed = labelled.get(labels::DEVICE_LIST.len()..).unwrap_or_default();
        let hash = hash(signed);
        let encoded = [signed, signature.as_bytes()].concat().into_boxed_slice();
        Ok(Self { body, encoded, hash })
    }

    /// Parses the binary form and verifies the signature by the account identity key inside. The caller must compare that key
    /// with the one it pinned.
    ///
    /// # Errors
    /// [`DeviceListError`] if the form or the signature is invalid. The cost is bounded by [`DEVICE_LIST_MAX_BYTES`] and one
    /// signature check.
    pub fn decode(encoded: &[u8]) -> Result<Self, DeviceListError> {
        if encoded.len() > DEVICE_LIST_MAX_BYTES {
            return Err(DeviceListError::Length);
        }
        let (signed, signature) = encoded.split_last_chunk().ok_or(DeviceListError::Length)?;
        let body = read_body(signed)?;
        check_body(&body)?;
        let labelled = [labels::DEVICE_LIST, signed].concat();
        let verified = body.account_identity.verify(&labelled, &Signature::from_bytes(*signature)).is_ok();
        if !holds(Countermeasure::SignedDeviceList, verified) {
            return Err(DeviceListError::Signature);
        }
        Ok(Self { body, encoded: encoded.into(), hash: hash(signed) })
    }

    /// Returns the binary form, signature included, of at most [`DEVICE_LIST_MAX_BYTES`].
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Returns the hash of this list, which its successor names.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Returns the content of the list.
    #[must_use]
    pub fn body(&self) -> &DeviceListBody {
        &self.body
    }

    /// Returns the account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.body.account
    }

    /// Returns the key that signed the list.
    #[must_use]
    pub fn account_identity(&self) -> AccountIdentityKey {
        self.body.account_identity
    }

    /// Returns the version, which starts at 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.body.version
    }

    /// Returns the hash of the previous list; zeros in version 1.
    #[must_use]
    pub fn previous_hash(&self) -> [u8; 32] {
        self.body.previous_hash
    }

    /// Returns whether this list starts a new account identity key.
    #[must_use]
    pub fn new_identity(&self) -> bool {
        self.body.new_identity
    }

    /// Returns the devices, ascending by device id; there are 1 to [`MAX_DEVICES`].
    #[must_use]
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.body.devices
    }

    /// Returns the device with this id, if the list has it.
    #[must_use]
    pub fn device(&self, device: DeviceId) -> Option<&DeviceEntry> {
        self.body.devices.iter().find(|entry| entry.device == device)
    }

    /// Returns the addresses of all devices.
    pub fn addresses(&self) -> impl Iterator<Item = DeviceAddress> + '_ {
        let account = self.body.account;
        self.body.devices.iter().map(move |entry| DeviceAddress {
            account,
            device: entry.device,
            registration: entry.registration,
        })
    }

    /// Returns whether the list has the device under the same registration.
    #[must_use]
    pub fn contains(&self, address: &DeviceAddress) -> bool {
        self.addresses().any(|listed| listed == *address)
    }

    /// Checks that `next` can follow this list.
    ///
    /// A list that starts a new identity passes; the caller must show that change to the user.
    ///
    /// # Errors
    /// [`SuccessionError`] if `next` breaks the chain or changes a key that must stay.
    pub fn check_successor(&self, next: &Self) -> Result<(), SuccessionError> {
        if next.account() != self.account() {
            return Err(SuccessionError::Account);
        }
        if self.version().checked_add(1) != Some(next.version()) {
            return Err(SuccessionError::Version);
        }
        if next.previous_hash() != self.hash {
            return Err(SuccessionError::PreviousHash);
        }
        let marked = holds(Countermeasure::NewIdentityMark, next.new_identity());
        if next.account_identity() != self.account_identity() && !marked {
            return Err(SuccessionError::AccountIdentity);
        }
        let rekeyed = next.devices().iter().any(|entry| {
            self.device(entry.device)
                .is_some_and(|old| old.registration == entry.registration && old.identity != entry.identity)
        });
        if rekeyed { Err(SuccessionError::DeviceIdentity) } else { Ok(()) }
    }
}

fn hash(signed: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(labels::DEVICE_LIST_HASH).chain_update(signed).finalize().into()
}

fn check_body(body: &DeviceListBody) -> Result<(), DeviceListError> {
    if body.devices.is_empty() || body.devices.len() > MAX_DEVICES {
        return Err(DeviceListError::DeviceCount);
    }
    if !body.devices.is_sorted_by(|a, b| a.device < b.device) {
        return Err(DeviceListError::Order);
    }
    let first = body.version == 1;
    if body.version == 0 || first != (body.previous_hash == [0; 32]) {
        return Err(DeviceListError::Version);
    }
    if body.new_identity && (first || body.devices.len() != 1) {
        return Err(DeviceListError::NewIdentity);
    }
    Ok(())
}

fn write_body(out: &mut Vec<u8>, body: &DeviceListBody) -> Result<(), DeviceListError> {
    out.push(FORMAT);
    out.extend_from_slice(body.account.as_bytes());
    out.extend_from_slice(body.account_identity.as_bytes());
    out.extend_from_slice(&body.version.to_be_bytes());
    out.extend_from_slice(&body.previous_hash);
    out.push(u8::from(body.new_identity));
    out.push(u8::try_from(body.devices.len()).map_err(|_| DeviceListError::DeviceCount)?);
    for entry in &body.devices {
        out.push(entry.device.get());
        out.extend_from_slice(entry.registration.as_bytes());
        out.extend_from_slice(entry.identity.as_bytes());
    }
    Ok(())
}

fn read_body(signed: &[u8]) -> Result<DeviceListBody, DeviceListError> {
    let mut reader = Reader::new(signed);
    if reader.u8()? != FORMAT {
        return Err(DeviceListError::UnknownFormat);
    }
    let account = AccountId::from_bytes(*reader.array()?);
    let account_identity = AccountIdentityKey::from_bytes(reader.array()?).map_err(DeviceListError::Key)?;
    let version = reader.u64()?;
    let previous_hash = *reader.array()?;
    let new_identity = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DeviceListError::NewIdentity),
    };
    let count = usize::from(reader.u8()?);
    if count == 0 || count > MAX_DEVICES {
        return Err(DeviceListError::DeviceCount);
    }
    let mut devices = Vec::with_capacity(count);
    for _ in 0..count {
        devices.push(DeviceEntry {
            device: DeviceId::new(reader.u8()?).map_err(|_: ParseIdError| DeviceListError::DeviceId)?,
            registration: RegistrationId::from_bytes(*reader.array()?),
            identity: DeviceIdentityKey::from_bytes(reader.array()?).map_err(DeviceListError::Key)?,
        });
    }
    reader.end()?;
    Ok(DeviceListBody { account, account_identity, version, previous_hash, new_identity, devices })
}

#[cfg(test)]
mod tests;
