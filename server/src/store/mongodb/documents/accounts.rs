//! Accounts, with everything that changes together with them.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Document, doc};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::store::accounts::AccountRecord;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// An account: name, password, list and sessions in one document, so that each change of them is one step. `rev` rises
/// with every change, and a change is applied only to the `rev` that it was decided on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    #[serde(rename = "_id")]
    pub(crate) id: Binary,
    /// The folded name. Of an erased account: `#` and its id, which cannot be a name.
    pub(crate) username: String,
    /// Keyed hash of the name. It stays when the account is erased, so that its unique index keeps the name retired.
    pub(crate) name_hash: Binary,
    /// The account's id and the ids of its sessions, under one unique index over all accounts.
    pub(crate) ids: Vec<Binary>,
    pub(crate) password_hash: String,
    pub(crate) created_at: i64,
    pub(crate) disabled_at: Option<i64>,
    pub(crate) erased_at: Option<i64>,
    pub(crate) rev: i64,
    pub(crate) list_version: i64,
    pub(crate) list_hash: Binary,
    pub(crate) list: Binary,
    pub(crate) devices: Vec<Device>,
    pub(crate) sessions: Vec<Session>,
    /// Devices that left the list, until nothing of theirs is left.
    pub(crate) removing: Vec<Removing>,
}

/// A device of the current list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) id: i32,
    pub(crate) registration: Binary,
    pub(crate) identity: Binary,
    /// When it entered the list.
    pub(crate) since: i64,
}

/// A session, live or ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Binary,
    pub(crate) device: i32,
    pub(crate) registration: Binary,
    pub(crate) refresh: Binary,
    pub(crate) previous: Option<Binary>,
    pub(crate) generation: i64,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: i64,
    /// Once it has ended: when it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<i64>,
}

/// A device that left the list. Its queue is emptied and the senders of what waited are told. That is repeated for a
/// while, because another node may still be writing to the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removing {
    pub(crate) device: i32,
    pub(crate) registration: Binary,
    pub(crate) reason: i32,
    pub(crate) at: i64,
    /// Whether nothing more can be written to its queue.
    pub(crate) done: bool,
    /// The clean-up that goes on now. Until it ends, the registration cannot return to the list.
    #[serde(default)]
    pub(crate) cleaning: Option<Claim>,
}

/// A claim to clean up after a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) by: ObjectId,
    /// From then on the node that claimed it is taken for dead.
    pub(crate) until: i64,
}

impl Removing {
    /// Returns the address of the device.
    pub(crate) fn address(&self, account: AccountId) -> Result<DeviceAddress, DbError> {
        values::join(account, self.device, &self.registration)
    }

    /// Returns whether a node is cleaning up.
    pub(crate) fn is_claimed(&self, now: UnixMillis) -> bool {
        self.cleaning.as_ref().is_some_and(|claim| claim.until > values::time(now))
    }
}

impl Account {
    /// Returns whether the account exists, and is not just the note of its erasure.
    pub(crate) fn is_there(&self) -> bool {
        self.erased_at.is_none()
    }

    /// Returns the account's id.
    pub(crate) fn account(&self) -> Result<AccountId, DbError> {
        values::to_account(&self.id)
    }

    /// Returns the addresses of the current list, by device id.
    pub(crate) fn addresses(&self) -> Result<Vec<DeviceAddress>, DbError> {
        listed(self.account()?, &self.devices)
    }

    /// Returns what the services know of the account.
    pub(crate) fn record(&self) -> Result<AccountRecord, DbError> {
        Ok(AccountRecord {
            id: self.account()?,
            username: Username::parse(&self.username).map_err(|_| DbError::Corrupt("a name that cannot be"))?,
            password_hash: self.password_hash.clone(),
            created_at: values::millis(self.created_at),
            device_list_version: self.list_version.cast_unsigned(),
            device_list: EncodedDeviceList(self.list.bytes.clone()),
            disabled_at: self.disabled_at.map(values::millis),
        })
    }

    /// Ends the live sessions that `which` selects. Returns them.
    pub(crate) fn end(&mut self, which: impl Fn(&Session) -> bool) -> Result<Vec<SessionId>, DbError> {
        let mut ended = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| session.ended_at.is_none() && which(session)) {
            session.ended_at = Some(session.last_used_at);
            ended.push(SessionId::from_bytes(values::fixed(&session.id)?));
        }
        Ok(ended)
    }

    /// Rewrites `ids` after sessions were added or removed.
    pub(crate) fn index(&mut self) {
        self.ids = std::iter::once(&self.id).chain(self.sessions.iter().map(|session| &session.id)).cloned().collect();
    }
}

impl Device {
    /// Returns the device's identity key.
    pub(crate) fn identity_key(&self) -> Result<DeviceIdentityKey, DbError> {
        DeviceIdentityKey::from_bytes(&values::fixed(&self.identity)?)
            .map_err(|_| DbError::Corrupt("an identity key that cannot be"))
    }

    /// Returns whether this is the device with this address, in the account that the address names.
    pub(crate) fn is(&self, address: &DeviceAddress) -> bool {
        self.id == i32::from(address.device.get()) && self.registration.bytes == address.registration.as_bytes()
    }
}

impl Session {
    /// Returns whether the session is on the device with this address, in the account that the address names.
    pub(crate) fn is_on(&self, address: &DeviceAddress) -> bool {
        self.device == i32::from(address.device.get()) && self.registration.bytes == address.registration.as_bytes()
    }
}

/// Returns the addresses of a list's devices, by device id.
pub(crate) fn listed(account: AccountId, devices: &[Device]) -> Result<Vec<DeviceAddress>, DbError> {
    devices.iter().map(|device| values::join(account, device.id, &device.registration)).collect()
}

/// The part of an account that accepting looks at.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listing {
    #[serde(rename = "_id")]
    pub(crate) id: Binary,
    pub(crate) erased_at: Option<i64>,
    pub(crate) list_version: i64,
    pub(crate) devices: Vec<Device>,
}

impl Listing {
    /// Returns the fields to ask for.
    pub(crate) fn projection() -> Document {
        doc! { "erased_at": 1, "list_version": 1, "devices": 1 }
    }
}
