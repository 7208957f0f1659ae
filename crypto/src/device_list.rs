//! The signed device list: which devices an account has, said by the account's identity key and by nobody else.
//!
//! Because the server has no part in it, it can't add a device that listens along, nor bring a removed one back. Lists form
//! a hash chain; a client pins the newest it saw and refuses one that goes back.
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

use sealpost_sabotage::{Countermeasure, without};
use sha2::{Digest as _, Sha256};

use crate::identity::{
    AccountIdentityKey, AccountIdentityKeyPair, BadSignature, DeviceIdentityKey, IdentityKeyError, Signature,
};
use crate::ids::{AccountId, DeviceAddress, DeviceId, ParseIdError, RegistrationId};
use crate::labels;
use crate::reader::{Reader, WrongLength};

/// Devices an account may have. Every message is encrypted once for each, so this bounds the cost of a send.
pub const MAX_DEVICES: usize = 8;

const FORMAT: u8 = 1;
const HEAD_LEN: usize = 91;
const ENTRY_LEN: usize = 1 + RegistrationId::LEN + DeviceIdentityKey::LEN;

/// Bytes of the longest device list, signature included.
pub const DEVICE_LIST_MAX_BYTES: usize = HEAD_LEN + MAX_DEVICES * ENTRY_LEN + Signature::LEN;

/// One device of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The device's number.
    pub device: DeviceId,
    /// Which making of the device.
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
    /// From 1, one more with each list.
    pub version: u64,
    /// [`DeviceList::hash`] of the list before; zeros in version 1.
    pub previous_hash: [u8; 32],
    /// Whether the account goes on with a new identity key from here: then there is exactly one device.
    pub new_identity: bool,
    /// The devices, ascending by device id.
    pub devices: Vec<DeviceEntry>,
}

/// A list that is not acceptable in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceListError {
    /// The bytes are shorter or longer than the form says.
    #[error("a device list has the wrong length")]
    Length,
    /// Made by a format that this version doesn't know.
    #[error("a device list has an unknown format")]
    UnknownFormat,
    /// No device, or more than [`MAX_DEVICES`].
    #[error("a device list must have 1 to 8 devices")]
    DeviceCount,
    /// Device ids out of order, or one twice.
    #[error("a device list is not in ascending order of device ids")]
    Order,
    /// A device id outside 1–127.
    #[error("a device list names an impossible device id")]
    DeviceId,
    /// Version 0, or a previous hash where there is no previous list, or none where there is one.
    #[error("a device list's version and previous hash don't fit together")]
    Version,
    /// The new-identity flag is neither 0 nor 1, or stands in version 1 or beside more than one device.
    #[error("a device list's new-identity mark doesn't fit the list")]
    NewIdentity,
    /// A key of the list is no acceptable key.
    #[error("a device list holds an unusable key")]
    Key(#[source] IdentityKeyError),
    /// The account identity key did not sign this.
    #[error("a device list's signature does not verify")]
    Signature,
    /// Asked to sign with another key than the list names.
    #[error("a device list names another account identity key than the one that is to sign it")]
    WrongSigner,
}

impl From<WrongLength> for DeviceListError {
    fn from(WrongLength: WrongLength) -> Self {
        Self::Length
    }
}

/// A list that can't follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// Another account's list.
    #[error("the next device list is another account's")]
    Account,
    /// Not the version after this one.
    #[error("the next device list's version is not one more")]
    Version,
    /// The chain is broken: the list follows another list of the same version.
    #[error("the next device list follows another list")]
    PreviousHash,
    /// Another identity key without the new-identity mark.
    #[error("the next device list has another identity key without saying so")]
    AccountIdentity,
    /// A device kept its registration id and changed its key, which would let a new device pass for an old one.
    #[error("the next device list changes a device's key under the same registration id")]
    DeviceIdentity,
}

/// A device list whose form and signature were verified: there is no other way to have one.
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
    /// [`DeviceListError`] if the body breaks a rule of the form, or names another key than `identity`.
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

    /// Parses the one binary form and verifies the signature by the account identity key inside. Whether that key is the
    /// one the account is known by is for the caller's pin to say.
    ///
    /// # Errors
    /// [`DeviceListError`]; the cost is bounded by [`DEVICE_LIST_MAX_BYTES`] and one signature check.
    pub fn decode(encoded: &[u8]) -> Result<Self, DeviceListError> {
        if encoded.len() > DEVICE_LIST_MAX_BYTES {
            return Err(DeviceListError::Length);
        }
        let (signed, signature) = encoded.split_last_chunk().ok_or(DeviceListError::Length)?;
        let body = read_body(signed)?;
        check_body(&body)?;
        if !without(Countermeasure::SignedDeviceList) {
            body.account_identity
                .verify(&[labels::DEVICE_LIST, signed].concat(), &Signature::from_bytes(*signature))
                .map_err(|BadSignature| DeviceListError::Signature)?;
        }
        Ok(Self { body, encoded: encoded.into(), hash: hash(signed) })
    }

    /// The binary form, signature included: at most [`DEVICE_LIST_MAX_BYTES`].
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The list's place in the hash chain.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Everything the list says.
    #[must_use]
    pub fn body(&self) -> &DeviceListBody {
        &self.body
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.body.account
    }

    /// The key that signed the list.
    #[must_use]
    pub fn account_identity(&self) -> AccountIdentityKey {
        self.body.account_identity
    }

    /// The list's version, from 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.body.version
    }

    /// Hash of the list before; zeros in version 1.
    #[must_use]
    pub fn previous_hash(&self) -> [u8; 32] {
        self.body.previous_hash
    }

    /// Whether a new identity begins with this list.
    #[must_use]
    pub fn new_identity(&self) -> bool {
        self.body.new_identity
    }

    /// The devices, ascending by device id; 1 to [`MAX_DEVICES`].
    #[must_use]
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.body.devices
    }

    /// The device of this id, if it is in the list.
    #[must_use]
    pub fn device(&self, device: DeviceId) -> Option<&DeviceEntry> {
        self.body.devices.iter().find(|entry| entry.device == device)
    }

    /// The addresses of all devices.
    pub fn addresses(&self) -> impl Iterator<Item = DeviceAddress> + '_ {
        let account = self.body.account;
        self.body.devices.iter().map(move |entry| DeviceAddress {
            account,
            device: entry.device,
            registration: entry.registration,
        })
    }

    /// Whether exactly this making of the device is in the list.
    #[must_use]
    pub fn contains(&self, address: &DeviceAddress) -> bool {
        self.addresses().any(|listed| listed == *address)
    }

    /// Whether `next` may follow this list.
    ///
    /// A list that begins a new identity passes: that it does so is for the caller to show to the user.
    ///
    /// # Errors
    /// [`SuccessionError`] says what doesn't fit.
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
        let marked = next.new_identity() || without(Countermeasure::NewIdentityMark);
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
