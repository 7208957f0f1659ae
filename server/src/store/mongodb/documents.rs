//! The documents, as `migrations/mongodb` describes them.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Document, doc};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::{MessageNumber, SessionId};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, OneTimePrekey, OneTimePrekeyId, PrekeyPublic, Signature, SignedPrekey, SignedPrekeyId,
    UnixMillis,
};
use serde::{Deserialize, Serialize};

use super::error::DbError;
use super::values;
use crate::domain::window::NumberWindow;
use crate::store::AccountRecord;

/// Everything of an account that changes together: name, password, list, sessions. One document, so that each change is
/// one step. `rev` rises with every change, and a change is made only to the `rev` that it was decided on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    #[serde(rename = "_id")]
    pub(super) id: Binary,
    /// Of an erased account: `#` and its id, which nobody can be called.
    pub(super) username: String,
    /// Keyed hash of the name; it stays when the account is erased, so that its unique index keeps the name retired.
    pub(super) name_hash: Binary,
    /// Its own id and the ids of its sessions: one unique index over all accounts.
    pub(super) ids: Vec<Binary>,
    pub(super) password_hash: String,
    pub(super) created_at: i64,
    pub(super) disabled_at: Option<i64>,
    pub(super) erased_at: Option<i64>,
    pub(super) rev: i64,
    pub(super) list_version: i64,
    pub(super) list_hash: Binary,
    pub(super) list: Binary,
    pub(super) devices: Vec<Device>,
    pub(super) sessions: Vec<Session>,
    /// Devices that left the list, until nothing of them is left.
    pub(super) removing: Vec<Removing>,
}

/// A device of the current list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) id: i32,
    pub(super) registration: Binary,
    pub(super) identity: Binary,
    /// Since when it is in the list.
    pub(super) since: i64,
}

/// A session, live or ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: Binary,
    pub(super) device: i32,
    pub(super) registration: Binary,
    pub(super) refresh: Binary,
    pub(super) previous: Option<Binary>,
    pub(super) generation: i64,
    pub(super) created_at: i64,
    pub(super) last_used_at: i64,
    /// When it was used last, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<i64>,
}

/// A device that left the list. Its queue is emptied and the senders of what waited are told; that is repeated for a
/// while, because another node may just be writing to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Removing {
    pub(super) device: i32,
    pub(super) registration: Binary,
    pub(super) reason: i32,
    pub(super) at: i64,
    /// Nothing can come any more.
    pub(super) done: bool,
    /// Who is cleaning up now. Until that is over, the registration does not return to the list.
    #[serde(default)]
    pub(super) cleaning: Option<Claim>,
}

/// That somebody is cleaning up after a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) by: ObjectId,
    /// From then on whoever claimed it is taken for dead.
    pub(super) until: i64,
}

impl Removing {
    pub(super) fn address(&self, account: AccountId) -> Result<DeviceAddress, DbError> {
        values::join(account, self.device, &self.registration)
    }

    /// Whether somebody is at it.
    pub(super) fn is_claimed(&self, now: UnixMillis) -> bool {
        self.cleaning.as_ref().is_some_and(|claim| claim.until > values::time(now))
    }
}

impl Account {
    /// Whether it is more than the note of its erasure.
    pub(super) fn is_there(&self) -> bool {
        self.erased_at.is_none()
    }

    pub(super) fn account(&self) -> Result<AccountId, DbError> {
        values::to_account(&self.id)
    }

    /// The addresses of the current list, by device id.
    pub(super) fn addresses(&self) -> Result<Vec<DeviceAddress>, DbError> {
        listed(self.account()?, &self.devices)
    }

    pub(super) fn record(&self) -> Result<AccountRecord, DbError> {
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

    /// Ends the live sessions that `which` names; returns them.
    pub(super) fn end(&mut self, which: impl Fn(&Session) -> bool) -> Result<Vec<SessionId>, DbError> {
        let mut ended = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| session.ended_at.is_none() && which(session)) {
            session.ended_at = Some(session.last_used_at);
            ended.push(SessionId::from_bytes(values::fixed(&session.id)?));
        }
        Ok(ended)
    }

    /// Writes `ids` anew after sessions came or went.
    pub(super) fn index(&mut self) {
        self.ids = std::iter::once(&self.id).chain(self.sessions.iter().map(|session| &session.id)).cloned().collect();
    }
}

/// The addresses of a list's devices, by device id.
pub(super) fn listed(account: AccountId, devices: &[Device]) -> Result<Vec<DeviceAddress>, DbError> {
    devices.iter().map(|device| values::join(account, device.id, &device.registration)).collect()
}

/// The part of an account that accepting looks at.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "_id")]
    pub(super) id: Binary,
    pub(super) erased_at: Option<i64>,
    pub(super) list_version: i64,
    pub(super) devices: Vec<Device>,
}

impl Listing {
    /// What is asked for.
    pub(super) fn projection() -> Document {
        doc! { "erased_at": 1, "list_version": 1, "devices": 1 }
    }
}

/// What changes with every message and connection of a device: the state of its own sending, and of its queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hot {
    #[serde(rename = "_id")]
    pub(super) id: Binary,
    pub(super) account: Binary,
    pub(super) last_seen_at: i64,
    /// The current connection.
    pub(super) epoch: i64,
    /// Highest number accepted from it.
    pub(super) highest: i64,
    pub(super) window: Binary,
    /// Rises with every change of the window.
    pub(super) window_rev: i64,
    /// Sequence that was given last to a row of its queue.
    pub(super) next: i64,
    /// Rows in its queue, with those that are about to come.
    pub(super) messages: i64,
    /// Their bytes.
    pub(super) bytes: i64,
    /// When room was taken for a row last.
    pub(super) reserved_at: i64,
    /// When the rows were counted last.
    pub(super) counted_at: i64,
    /// Since when the counters may be too high; 0 when nothing speaks for that.
    pub(super) recount_at: i64,
}

impl Hot {
    /// Of a device that has never done anything.
    pub(super) fn new(address: &DeviceAddress, since: i64) -> Self {
        let window = NumberWindow::default();
        Self {
            id: values::address(address),
            account: values::account(address.account),
            last_seen_at: since,
            epoch: 0,
            highest: 0,
            window: values::binary(&window.to_bitmap()),
            window_rev: 0,
            next: 0,
            messages: 0,
            bytes: 0,
            reserved_at: 0,
            counted_at: 0,
            recount_at: 0,
        }
    }

    pub(super) fn window(&self) -> Result<NumberWindow, DbError> {
        Ok(NumberWindow::from_parts(MessageNumber(self.highest.cast_unsigned()), &values::fixed(&self.window)?))
    }
}

/// A filter for one device's document, with the shard key.
pub(super) fn of_device(address: &DeviceAddress) -> Document {
    doc! { "_id": values::address(address), "account": values::account(address.account) }
}

/// A filter for what lies in one device's queue.
pub(super) fn in_queue(address: &DeviceAddress) -> Document {
    doc! { "account": values::account(address.account), "to": values::device(address) }
}

/// The prekeys of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prekeys {
    #[serde(rename = "_id")]
    pub(super) id: Binary,
    pub(super) account: Binary,
    pub(super) key_epoch: i64,
    pub(super) max_issued: i64,
    pub(super) signed: Option<Signed>,
    /// Ascending by id.
    pub(super) one_time: Vec<OneTime>,
    /// The one that was taken last: how a take learns what it took.
    pub(super) taken: Option<OneTime>,
    /// The attempt that last prepared the device for a list: only that one may take it back.
    pub(super) begun: ObjectId,
    /// Whether the device has left its list.
    pub(super) removed: bool,
}

/// A signed prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signed {
    pub(super) id: i64,
    pub(super) key: Binary,
    pub(super) expires_at: i64,
    pub(super) signature: Binary,
}

/// A one-time prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OneTime {
    pub(super) id: i64,
    pub(super) key: Binary,
}

fn prekey(key: &Binary) -> Result<PrekeyPublic, DbError> {
    PrekeyPublic::from_bytes(&values::fixed(key)?).map_err(|_| DbError::Corrupt("a prekey that cannot be"))
}

impl Signed {
    pub(super) fn new(signed: &SignedPrekey) -> Self {
        Self {
            id: i64::from(signed.id.0),
            key: values::binary(signed.key.as_bytes()),
            expires_at: values::time(signed.expires_at),
            signature: values::binary(signed.signature.as_bytes()),
        }
    }

    pub(super) fn value(&self) -> Result<SignedPrekey, DbError> {
        Ok(SignedPrekey {
            id: SignedPrekeyId(values::small(self.id)?),
            key: prekey(&self.key)?,
            expires_at: values::millis(self.expires_at),
            signature: Signature::from_bytes(values::fixed(&self.signature)?),
        })
    }
}

impl OneTime {
    pub(super) fn new(key: &OneTimePrekey) -> Self {
        Self { id: i64::from(key.id.0), key: values::binary(key.key.as_bytes()) }
    }

    pub(super) fn value(&self) -> Result<OneTimePrekey, DbError> {
        Ok(OneTimePrekey { id: OneTimePrekeyId(values::small(self.id)?), key: prekey(&self.key)? })
    }
}

/// A row of a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(rename = "_id")]
    pub(super) id: ObjectId,
    pub(super) account: Binary,
    pub(super) to: Binary,
    pub(super) row: i64,
    pub(super) from: Binary,
    pub(super) number: i64,
    pub(super) accepted_at: i64,
    pub(super) bytes: i64,
    pub(super) ciphertext: Binary,
}

/// A row without its ciphertext.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RowHead {
    #[serde(rename = "_id")]
    pub(super) id: ObjectId,
    pub(super) account: Binary,
    pub(super) to: Binary,
    pub(super) row: i64,
    pub(super) from: Binary,
    pub(super) number: i64,
    pub(super) bytes: i64,
}

impl RowHead {
    /// What is asked for.
    pub(super) fn projection() -> Document {
        doc! { "account": 1, "to": 1, "row": 1, "from": 1, "number": 1, "bytes": 1 }
    }

    /// Whose queue it is in.
    pub(super) fn recipient(&self) -> Result<DeviceAddress, DbError> {
        let bytes: Vec<u8> = self.account.bytes.iter().chain(&self.to.bytes).copied().collect();
        values::to_address(&values::binary(&bytes))
    }
}

/// A notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    #[serde(rename = "_id")]
    pub(super) id: ObjectId,
    pub(super) account: Binary,
    pub(super) to: Binary,
    pub(super) row: i64,
    pub(super) kind: i32,
    pub(super) reason: i32,
    pub(super) peer: Binary,
    /// Numbers of the own messages that it is about, each once.
    pub(super) numbers: Vec<i64>,
    /// Numbers of others' messages, those that were added last.
    #[serde(default)]
    pub(super) recent: Vec<i64>,
    /// How many messages it is about.
    pub(super) count: i64,
    pub(super) created_at: i64,
    /// Which it is of its pair, kind and reason: they come one after the other.
    pub(super) turn: i64,
    /// Whether it was read for delivery.
    pub(super) sealed: bool,
}

/// An invite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Invite {
    #[serde(rename = "_id")]
    pub(super) id: Binary,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
    /// The account that is being made with it.
    pub(super) account: Option<Binary>,
}

/// An earlier device list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListRow {
    pub(super) account: Binary,
    pub(super) version: i64,
    pub(super) encoded: Binary,
}

/// The store's ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ids {
    pub(super) server_id: Binary,
    pub(super) store_id: Binary,
}
