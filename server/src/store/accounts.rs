//! Accounts: their names, passwords and end.

use async_trait::async_trait;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, UnixMillis};

use super::error::StoreError;
use super::prekeys::DeviceKeys;
use super::sessions::NewSession;

/// An account to create.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name.
    pub username: Username,
    /// Keyed hash of the name (32 bytes). It stays when the account is deleted, so that the name is never given again.
    pub username_hash: [u8; 32],
    /// Password hash, as a PHC string.
    pub password_hash: String,
    /// The first device list: version 1, verified, with one device.
    pub device_list: DeviceList,
    /// The keys of that device.
    pub keys: DeviceKeys,
    /// The account's first session.
    pub session: NewSession,
    /// Hash of the invite that pays for the account (32 bytes), where the server asks for one.
    pub invite_hash: Option<[u8; 32]>,
}

/// What the store knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// Password hash, as a PHC string.
    pub password_hash: String,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Version of the current device list.
    pub device_list_version: u64,
    /// The current device list, as it was verified when it was stored.
    pub device_list: EncodedDeviceList,
    /// When an operator disabled it; `None` while its owner may log in.
    pub disabled_at: Option<UnixMillis>,
}

/// The answer to [`AccountStore::create_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAccount {
    /// The account exists now, with its device, keys and session (generation 1).
    Created,
    /// The name belongs to this account; nothing was changed. A repetition of the same request ends here too.
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
    /// No account has the name; this is any other one.
    Other(Box<AccountRecord>),
}

/// What a registration would meet now; see [`AccountStore::vacancy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacancy {
    /// The account that has the name.
    pub holder: Option<Box<AccountRecord>>,
    /// Whether the name belonged to an account that was deleted.
    pub retired: bool,
    /// Whether the invite can be used; `true` if the registration needs none.
    pub invite_good: bool,
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
    /// Messages that waited for the account.
    pub queued_messages: u64,
    /// Its live sessions.
    pub ended_sessions: Vec<SessionId>,
    /// All of its sessions, live or ended.
    pub sessions: u64,
    /// Devices of other accounts that have a new notice to read.
    pub notified: Vec<DeviceAddress>,
}

/// Accounts.
#[async_trait]
pub trait AccountStore {
    /// Creates an account with its list, device, keys and session: all of it or nothing.
    async fn create_account(&self, account: NewAccount, now: UnixMillis) -> Result<CreateAccount, StoreError>;
    /// Returns what a registration would meet now, so that a hopeless one costs no password hash. It promises nothing:
    /// [`create_account`](Self::create_account) decides.
    async fn vacancy(
        &self,
        username: &Username,
        username_hash: [u8; 32],
        invite_hash: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<Vacancy, StoreError>;
    /// Returns the account with this name.
    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError>;
    /// Returns the account with this name or, if there is none, [another one](NameMatch::Other), with the same reads in
    /// both cases: the time must not tell whether a name is taken. `None` in a store without accounts.
    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError>;
    /// Returns the account with this id.
    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// Sets the password hash if it is still `expected`, and ends every session but `keep`, whose generation rises.
    /// Returns the sessions that ended; `None` if the hash was another one, and then nothing was changed.
    async fn set_password_hash(
        &self,
        account: AccountId,
        expected: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<Option<Vec<SessionId>>, StoreError>;
    /// Replaces the hash of an unchanged password by one with newer parameters, if it is still `expected`. Returns
    /// whether it was.
    async fn rehash_password(&self, account: AccountId, expected: &str, new: &str) -> Result<bool, StoreError>;
    /// Erases an account and keeps `username_hash`. Copies that were accepted for other accounts stay. Returns `None` if the
    /// account does not exist.
    async fn delete_account(
        &self,
        account: AccountId,
        username_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Erased>, StoreError>;
}
