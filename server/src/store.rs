//! The stores behind the services: one trait a resource, one set of contracts, any number of back ends.
//!
//! Every operation is **one atomic step that is safe to repeat**; there are no multi-step transactions to hold open.
//! What an operation reports as done is durable before it returns. A back end knows nothing of HTTP, sockets or limits
//! beyond those that it is handed. Time is always an argument.

use std::sync::Arc;

use async_trait::async_trait;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::{KeyEpoch, MessageNumber, RefreshTokenHash, ServerId, SessionId, StoreId};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceId, DeviceIdentityKey, DeviceList, OneTimePrekey, SignedPrekey, UnixMillis,
};

mod admin;
pub mod embedded;
pub mod mongodb;
mod nodes;
mod places;
mod queue;
mod reasons;
pub mod transfer;
mod uploads;

pub use admin::{AccountSummary, AdminStore, InviteRecord, QueueSummary, StoreFigures};
pub use nodes::{DeviceGlance, Fact, NodeStore};
pub use queue::{Accept, AcceptOutcome, ExpiredRows, OpenConnection, QueueItem, QueueLimits, QueueStore, Refusal};

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
    /// The database cannot be reached, or did not say what became of it: it may have been done. Try again; the store recovers
    /// by itself.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// Any other failure of the database; nothing was changed.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
}

/// Everything that the services need of a back end.
#[async_trait]
pub trait Store:
    AccountStore + SessionStore + DeviceStore + PrekeyStore + QueueStore + AdminStore + NodeStore + Send + Sync + 'static
{
    /// Drawn at the first start; kept for ever.
    fn server_id(&self) -> ServerId;
    /// Changes whenever the store is restored from a backup.
    fn store_id(&self) -> StoreId;
    /// What a write has done when it is answered, in a word, for whoever watches.
    fn durability(&self) -> &'static str;
    /// To be called once the store holds an older state than it had before: the store gets this new id, every device's key
    /// epoch rises, and what must not come to life again is gone (see [`AfterRestore`]). A second call does no harm.
    async fn after_restore(&self, store: StoreId) -> Result<AfterRestore, StoreError>;
    /// Whether writes are possible now; the error is what [`QueueStore::accept`] would answer.
    async fn ready(&self) -> Result<(), StoreError>;
    /// Refuses new work, finishes what was begun, and releases files and locks. Idempotent.
    async fn close(&self);
}

/// The schema of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The database's version; 0 when there is none yet.
    pub current: i64,
    /// The newest version that this program knows.
    pub newest: i64,
    /// The names of the versions between the two.
    pub missing: Vec<&'static str>,
}

/// The key epoch rises by 1 to this. The step is drawn with the store's id, so that two restores of the same backup do not
/// lead to the same epoch: an upload that was meant for the first one must not be taken by the second.
const EPOCH_STEP_MAX: u32 = 1 << 20;

/// By how much the key epochs rise when the store gets this id.
fn epoch_step(store: StoreId) -> u32 {
    let [a, b, c, d, ..] = *store.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % EPOCH_STEP_MAX).saturating_add(1)
}

/// What [`Store::after_restore`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AfterRestore {
    /// Devices, each of which has another key epoch now.
    pub devices: u64,
    /// Sessions that were live: whoever logged out after the backup was taken must stay logged out.
    pub sessions: u64,
    /// One-time prekeys: any of them may have been given away after the backup was taken.
    pub one_time_prekeys: u64,
    /// Invites: any of them may have been used or revoked after the backup was taken.
    pub invites: u64,
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

/// A session to begin for somebody who showed the account's password.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// The session.
    pub session: NewSession,
    /// What the password was compared with. Once the account has another hash the session does not begin: whoever changes a
    /// password ends every session of the old one, also those that were about to begin.
    pub password_hash: String,
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
    /// Since when its owner may not log in, if an operator said so.
    pub disabled_at: Option<UnixMillis>,
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

/// The answer to [`AccountStore::account_or_other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameMatch {
    /// The account with the name.
    Named(Box<AccountRecord>),
    /// No account has the name; this is any other.
    Other(Box<AccountRecord>),
}

/// What a registration would meet now; see [`AccountStore::vacancy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacancy {
    /// The account that has the name.
    pub holder: Option<Box<AccountRecord>>,
    /// Whether the name belonged to an account that was deleted.
    pub retired: bool,
    /// Whether the invite is known and good; `true` where none was asked about.
    pub invite_good: bool,
}

/// A device list to publish.
#[derive(Clone, Debug)]
pub struct PublishList {
    /// Verified; its successor relation to the current one is checked by the caller against the list it read, and the
    /// store applies it only if `previous_hash` is still the current list's hash.
    pub device_list: DeviceList,
    /// Keys for devices that are new in it.
    pub added: Vec<DeviceKeys>,
    /// The log-in that begins a new identity.
    pub log_in: Option<LogIn>,
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
    /// There is no such account, or none that may log in.
    UnknownAccount,
    /// The account has another password by now; nothing was changed.
    PasswordChanged,
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
    /// What a registration would meet now, so that a hopeless one costs no password hash. It promises nothing:
    /// [`create_account`](Self::create_account) decides.
    async fn vacancy(
        &self,
        username: &Username,
        username_hash: [u8; 32],
        invite_hash: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<Vacancy, StoreError>;
    /// The account with this name.
    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError>;
    /// The account with this name, or [`NameMatch::Other`] account where there is none, for the same reads: the time must not
    /// tell whether a name is taken. `None` in a store without accounts.
    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError>;
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
    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError>;
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
    /// The device is in no list, or its account may not log in.
    UnknownDevice,
    /// The account has another password by now; nothing was changed.
    PasswordChanged,
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
    async fn start_session(&self, log_in: LogIn, now: UnixMillis) -> Result<StartSession, StoreError>;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_epoch_always_rises() {
        for bytes in [[0; 16], [255; 16], [7; 16]] {
            assert!((1..=EPOCH_STEP_MAX).contains(&epoch_step(StoreId::from_bytes(bytes))));
        }
    }
}
