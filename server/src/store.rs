//! The stores behind the services: one trait a resource, one set of contracts, any number of back ends.
//!
//! Every operation is **one atomic step that is safe to repeat**; there are no multi-step transactions to hold open.
//! What an operation reports as done is durable before it returns. A back end knows nothing of HTTP, sockets or limits
//! beyond those that it is handed. Time is always an argument.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::frames::{ExpiryReason, MissedReason, Send as SendFrame, Skipped};
use sealpost_api::ids::{
    ConnectionEpoch, KeyEpoch, MessageNumber, RefreshTokenHash, RowId, ServerId, SessionId, StoreId,
};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceId, DeviceIdentityKey, DeviceList, OneTimePrekey, SignedPrekey, UnixMillis,
};

pub mod embedded;

/// Why a store could not do what it was asked. None of these says anything about the data asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; nothing was changed, try again soon.
    #[error("the store is busy")]
    Busy,
    /// The reserve of free space is used up; nothing was changed. Deleting still works.
    #[error("the store's disk is full")]
    DiskFull,
    /// The store has stopped for good: a write could not be made durable. The process must exit.
    #[error("the store has stopped: {0}")]
    Stopped(Arc<str>),
    /// A row holds something that cannot be true.
    #[error("the store holds an impossible row: {0}")]
    Corrupt(&'static str),
    /// Any other failure of the database; nothing was changed.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// Everything that the services need of a back end.
#[async_trait]
pub trait Store: AccountStore + SessionStore + DeviceStore + PrekeyStore + QueueStore + Send + Sync + 'static {
    /// Drawn at the first start; kept for ever.
    fn server_id(&self) -> ServerId;
    /// Changes whenever the store is restored from a backup.
    fn store_id(&self) -> StoreId;
    /// Whether writes are possible now; the error is what [`QueueStore::accept`] would answer.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Refuses new work, finishes what was begun, and releases files and locks. Idempotent.
    async fn close(&self);
}

/// The keys of one device, their signatures already verified.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// The device of the list that comes with them.
    pub device: DeviceId,
    /// Its signed prekey.
    pub signed_prekey: SignedPrekey,
    /// At most 100, ids strictly ascending.
    pub one_time_prekeys: Vec<OneTimePrekey>,
}

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Drawn by the client.
    pub id: SessionId,
    /// The device it is on.
    pub address: DeviceAddress,
    /// Hash of its first refresh token.
    pub refresh_hash: RefreshTokenHash,
}

/// An account to create.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name.
    pub username: Username,
    /// Keyed hash of the name, which stays when the account is deleted (32 bytes).
    pub username_hash: [u8; 32],
    /// PHC string.
    pub password_hash: String,
    /// Version 1, verified, with one device.
    pub device_list: DeviceList,
    /// That device's keys.
    pub keys: DeviceKeys,
    /// Its first session.
    pub session: NewSession,
    /// Hash of the invite that pays for it, where one is needed (32 bytes).
    pub invite_hash: Option<[u8; 32]>,
}

/// What the store knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// PHC string.
    pub password_hash: String,
    /// Creation time.
    pub created_at: UnixMillis,
    /// Version of the current list.
    pub device_list_version: u64,
    /// The current list, as it was verified when it was stored.
    pub device_list: EncodedDeviceList,
}

/// The answer to [`AccountStore::create_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAccount {
    /// Created, with device, keys and session (generation 1).
    Created,
    /// The name belongs to this account; nothing was changed. The same request again ends here too.
    NameTaken(Box<AccountRecord>),
    /// The name belonged to an account that was deleted; nothing was changed.
    NameRetired,
    /// The account id is in use under another name; nothing was changed.
    AccountTaken,
    /// The session id is in use; nothing was changed.
    SessionTaken,
    /// The invite is unknown, spent or expired; nothing was changed.
    InviteInvalid,
}

/// A device list to publish.
#[derive(Clone, Debug)]
pub struct PublishList {
    /// Verified; its successor relation to the current one is checked by the caller against the list it read, and the
    /// store applies it only if `previous_hash` is still the current list's hash.
    pub device_list: DeviceList,
    /// Keys for devices that are new in it.
    pub added: Vec<DeviceKeys>,
    /// The session that begins a new identity.
    pub session: Option<NewSession>,
}

/// The answer to [`AccountStore::publish_device_list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The list is current now.
    Published {
        /// Devices (or registrations) that are no longer in it: their sessions, prekeys and queues are gone, and the
        /// senders of what waited for them have durable notices.
        removed: Vec<DeviceAddress>,
        /// The sessions that ended with them.
        ended_sessions: Vec<SessionId>,
        /// Devices that have a new notice to read.
        notified: Vec<DeviceAddress>,
    },
    /// This very list was current already; nothing was changed.
    AlreadyCurrent,
    /// Another list is current; nothing was changed.
    Conflict,
    /// There is no such account.
    UnknownAccount,
    /// The session id is in use; nothing was changed.
    SessionTaken,
}

/// What deleting an account erased.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Erased {
    /// Devices.
    pub devices: u64,
    /// Signed device lists.
    pub device_lists: u64,
    /// Signed prekeys.
    pub signed_prekeys: u64,
    /// One-time prekeys.
    pub one_time_prekeys: u64,
    /// Messages that waited for it.
    pub queued_messages: u64,
    /// Its live sessions.
    pub ended_sessions: Vec<SessionId>,
    /// All of its sessions.
    pub sessions: u64,
    /// Devices of others that have a new notice to read.
    pub notified: Vec<DeviceAddress>,
}

/// One device's figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The device.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// When it was last connected (or made).
    pub last_seen_at: UnixMillis,
    /// Raised by a restore.
    pub key_epoch: KeyEpoch,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// Highest one-time prekey id ever uploaded; 0 when none was.
    pub max_issued_id: u32,
    /// The signed prekey, if there is one.
    pub signed_prekey: Option<SignedPrekey>,
    /// Messages waiting.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Highest number accepted from it.
    pub highest_number: MessageNumber,
}

/// Accounts and their device lists.
#[async_trait]
pub trait AccountStore {
    /// Creates the account with its list, device, keys and session, all or nothing.
    async fn create_account(&self, account: NewAccount, now: UnixMillis) -> Result<CreateAccount, StoreError>;
    /// The account with this name.
    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError>;
    /// The account with this id.
    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// Sets the password hash if it is still `expected`; ends every session but `keep`, whose generation rises.
    /// `None` when the hash was another one. Returns the sessions ended.
    async fn set_password_hash(
        &self,
        account: AccountId,
        expected: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// Replaces the hash of an unchanged password by one with newer parameters, if it is still `expected`.
    async fn rehash_password(&self, account: AccountId, expected: &str, new: &str) -> Result<bool, StoreError>;
    /// Makes a list current, compare-and-set on the current one's hash.
    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError>;
    /// At most `limit` lists with a version above `after`, ascending, and the current version; `None` for no account.
    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError>;
    /// Erases the account; keeps `username_hash`. Copies already accepted for others stay. `None` for no account.
    async fn delete_account(
        &self,
        account: AccountId,
        username_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Erased>, StoreError>;
    /// Stores the hash of an invite (32 bytes), good until `expires_at`.
    async fn add_invite(&self, invite_hash: [u8; 32], expires_at: UnixMillis) -> Result<(), StoreError>;
}

/// A session as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// The device it is on.
    pub address: DeviceAddress,
    /// That device's identity key, to check what it signs.
    pub identity: DeviceIdentityKey,
    /// An access token is good only with this generation.
    pub generation: u32,
    /// Beginning.
    pub created_at: UnixMillis,
    /// Last log-in or refresh.
    pub last_used_at: UnixMillis,
}

/// The answer to [`SessionStore::start_session`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartSession {
    /// Begun; the device's earlier sessions ended.
    Started {
        /// Its generation.
        generation: u32,
        /// Those that ended.
        ended_sessions: Vec<SessionId>,
    },
    /// The same session, still at its first refresh token: the first answer again.
    Repeated {
        /// Its generation.
        generation: u32,
    },
    /// The id belongs to another session, or to this one after it went on or ended.
    Conflict,
    /// The device is in no list.
    UnknownDevice,
}

/// The answer to [`SessionStore::rotate_refresh_token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotateRefreshToken {
    /// `old` was current; `next` is now.
    Rotated {
        /// The session's generation.
        generation: u32,
    },
    /// The same pair again while `next` is current: the first answer again.
    Repeated {
        /// The session's generation.
        generation: u32,
    },
    /// `old` is not current: the session has ended now.
    Spent,
    /// The session had ended before, or never was.
    Unknown,
}

/// Sessions: log-ins on devices.
#[async_trait]
pub trait SessionStore {
    /// Begins a session on a device of the current list, ending that device's others.
    async fn start_session(&self, session: NewSession, now: UnixMillis) -> Result<StartSession, StoreError>;
    /// A live session.
    async fn session(&self, session: SessionId) -> Result<Option<SessionRecord>, StoreError>;
    /// Exchanges `old` for `next`; the caller has checked the device's signature over the pair.
    async fn rotate_refresh_token(
        &self,
        session: SessionId,
        old: RefreshTokenHash,
        next: RefreshTokenHash,
        now: UnixMillis,
    ) -> Result<RotateRefreshToken, StoreError>;
    /// The live sessions of an account, oldest first.
    async fn sessions(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError>;
    /// Ends one session of this account; whether it was live.
    async fn end_session(&self, account: AccountId, session: SessionId) -> Result<bool, StoreError>;
    /// Ends all sessions of this account; returns those that were live.
    async fn end_all_sessions(&self, account: AccountId) -> Result<Vec<SessionId>, StoreError>;
}

/// Devices of current lists.
#[async_trait]
pub trait DeviceStore {
    /// A device that is in its account's current list.
    async fn device(&self, address: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError>;
    /// The devices of the account's current list, by device id; `None` for no account.
    async fn devices(&self, account: AccountId) -> Result<Option<Vec<DeviceRecord>>, StoreError>;
}

/// The answer to [`PrekeyStore::upload_prekeys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadPrekeys {
    /// Stored; ids at or below the device's `max_issued_id` changed nothing.
    Stored,
    /// The device's key epoch is another one; nothing was changed.
    KeyEpochConflict,
    /// This id is stored with another key; nothing was changed.
    IdConflict(u32),
    /// More than 200 would be stored; nothing was changed.
    Full,
    /// The device is in no list.
    UnknownDevice,
}

/// A bundle as taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBundle {
    /// The device.
    pub address: DeviceAddress,
    /// Its signed prekey, unless it is expired or there is none.
    pub signed_prekey: Option<SignedPrekey>,
    /// The oldest one-time prekey, if one was asked for and left: deleted durably, never given again.
    pub one_time_prekey: Option<OneTimePrekey>,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// Whether it has been away longer than the retention.
    pub dormant: bool,
}

/// Prekeys of devices.
#[async_trait]
pub trait PrekeyStore {
    /// Stores prekeys. One-time ids above `max_issued_id` are new; at or below they change nothing, except that a
    /// stored id with another key is a conflict. A signed prekey replaces one with a lower id.
    async fn upload_prekeys(
        &self,
        address: DeviceAddress,
        key_epoch: KeyEpoch,
        one_time: Vec<OneTimePrekey>,
        signed: Option<SignedPrekey>,
    ) -> Result<UploadPrekeys, StoreError>;
    /// Ids of the one-time prekeys that are left, ascending; `None` for no device.
    async fn one_time_prekey_ids(&self, address: DeviceAddress) -> Result<Option<Vec<u32>>, StoreError>;
    /// Deletes all one-time prekeys of the device; how many there were.
    async fn discard_one_time_prekeys(&self, address: DeviceAddress) -> Result<u32, StoreError>;
    /// Takes a bundle; with `with_one_time`, one atomic delete-and-return of the oldest one-time prekey.
    /// A crash may burn a key, never give it twice. `None` for no device.
    async fn take_bundle(
        &self,
        account: AccountId,
        device: DeviceId,
        with_one_time: bool,
        now: UnixMillis,
    ) -> Result<Option<TakenBundle>, StoreError>;
}

/// The answer to [`QueueStore::open_connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenConnection {
    /// The epoch is durable; every earlier one is void.
    Opened {
        /// The new epoch.
        epoch: ConnectionEpoch,
        /// The device's key epoch.
        key_epoch: KeyEpoch,
        /// Rows waiting, notices included.
        pending: u64,
        /// Highest number accepted; 0 when none was.
        highest_number: MessageNumber,
        /// One-time prekeys left.
        one_time_left: u32,
    },
    /// The session has ended, is of another generation or of another device, or the device is in no list.
    Refused,
}

/// The quotas that [`QueueStore::accept`] enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages in one device's queue.
    pub messages_max: u64,
    /// Bytes in one device's queue.
    pub bytes_max: u64,
    /// Messages that one sender account may have in one device's queue.
    pub sender_messages_max: u64,
    /// A device that was away this long, in ms, is dormant.
    pub dormant_after_millis: u64,
}

/// A message to accept.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The authenticated sender device.
    pub from: DeviceAddress,
    /// Its connection.
    pub epoch: ConnectionEpoch,
    /// What it sent; sizes and counts already checked.
    pub send: SendFrame,
    /// Whether the rate limit would allow a new message now; if not, ms until it does. Looked at after the window.
    pub rate: Result<(), u64>,
    /// Quotas.
    pub limits: QueueLimits,
}

/// Why a message was not accepted. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection's epoch is not the current one.
    Superseded,
    /// The number was used for other bytes.
    NumberConflict,
    /// The number lies below the window.
    NumberTooOld,
    /// There is no such account, or the sender is in no list any more.
    RecipientUnknown,
    /// The copies do not match the current list. A copy for a dormant device is optional.
    DevicesMismatch {
        /// Devices without a copy.
        missing: Vec<DeviceId>,
        /// Copies for devices that are not in the list.
        extra: Vec<DeviceId>,
        /// Copies for another registration of a device.
        stale: Vec<DeviceId>,
    },
    /// The rate limit; ms until a retry is of use.
    RateLimited(u64),
    /// Every addressed device's queue is full (or some, and the others dormant).
    QueueFull,
    /// The sender account's share of every queue that is not full or dormant is used up.
    QueueShare,
    /// Every addressed device is dormant.
    Dormant,
}

/// The answer to [`QueueStore::accept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptOutcome {
    /// All copies but the skipped ones are durable, and so is the number.
    Accepted {
        /// Where each copy was queued.
        rows: Vec<(DeviceAddress, RowId)>,
        /// Devices without a copy; each has a durable count of what it missed.
        skipped: Vec<Skipped>,
    },
    /// The number was accepted before; nothing was stored.
    AlreadyAccepted,
    /// Nothing was stored.
    Refused(Refusal),
}

/// A row of a device's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueItem {
    /// A message.
    Message {
        /// The row.
        id: RowId,
        /// Who sent it.
        from: DeviceAddress,
        /// The sender's number.
        number: MessageNumber,
        /// When it was accepted.
        accepted_at: UnixMillis,
        /// The device's copy.
        ciphertext: Bytes,
    },
    /// Own messages that will not be delivered.
    Expired {
        /// The notice.
        id: RowId,
        /// The recipient device.
        to: DeviceAddress,
        /// The numbers.
        numbers: Vec<MessageNumber>,
        /// Why.
        reason: ExpiryReason,
    },
    /// Others' messages that will not be delivered.
    Missed {
        /// The notice.
        id: RowId,
        /// The sender device.
        from: DeviceAddress,
        /// How many.
        count: u64,
        /// Why.
        reason: MissedReason,
    },
}

impl QueueItem {
    /// The row's id.
    #[must_use]
    pub const fn id(&self) -> RowId {
        match self {
            Self::Message { id, .. } | Self::Expired { id, .. } | Self::Missed { id, .. } => *id,
        }
    }

    /// What it counts in a delivery window, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// A row's address, numbers and framing.
        const OVERHEAD: usize = 128;
        match self {
            Self::Message { ciphertext, .. } => ciphertext.len().saturating_add(OVERHEAD),
            Self::Expired { numbers, .. } => numbers.len().saturating_mul(8).saturating_add(OVERHEAD),
            Self::Missed { .. } => OVERHEAD,
        }
    }
}

/// One step of the expiry sweep.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExpiredRows {
    /// Rows deleted; their notices were durable before.
    pub deleted: u64,
    /// Devices that have a new notice to read.
    pub notified: Vec<DeviceAddress>,
}

/// Queues of ciphertexts, the senders' windows and the connections' epochs.
#[async_trait]
pub trait QueueStore {
    /// Begins a connection: the epoch rises and the device is seen, if the session is live.
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError>;
    /// Notes that the device was here until now. Called while connected and at the end.
    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError>;
    /// Accepts a message. In this order: epoch, window, list, quota, rate; then all copies and the number at once.
    async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError>;
    /// The oldest rows that are not in `delivered`, at most `rows_max`, stopping before `bytes_max` is exceeded
    /// (but for one row, which always fits). Never "greater than the last seen": an older row may become visible late.
    async fn undelivered(
        &self,
        address: DeviceAddress,
        delivered: &BTreeSet<RowId>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<QueueItem>, StoreError>;
    /// Deletes rows of this device if `epoch` is current; `None` when it is not. The caller has checked that each id
    /// was delivered on this connection. How many rows there still were.
    async fn acknowledge(
        &self,
        address: DeviceAddress,
        epoch: ConnectionEpoch,
        ids: Vec<RowId>,
    ) -> Result<Option<u64>, StoreError>;
    /// Expires at most `limit` rows accepted before `before`: writes the notices, then deletes. Repeatable.
    async fn expire(&self, before: UnixMillis, now: UnixMillis, limit: usize) -> Result<ExpiredRows, StoreError>;
}
