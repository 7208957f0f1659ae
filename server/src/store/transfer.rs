//! Everything that a store holds, in a form that no back end owns: for `sealpost-server move`.
//!
//! A source is read while nothing else uses it, in pages and in one order, so that the same is read again the same; a target
//! takes every page any number of times. One-time prekeys have no form here: one that was given away may not be given
//! again, and nobody can be sure that a copy is not used a second time. So the key epoch rises, and devices upload new ones.

use async_trait::async_trait;
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId, StoreId};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, SignedPrekey, UnixMillis};

use super::{InviteRecord, StoreError};

mod digest;

pub use digest::{Counts, Digest};

/// The key epoch rises by 1 to this. The step is drawn with the target's id, so that two moves of the same store do not lead
/// to the same epoch.
const EPOCH_STEP_MAX: u32 = 1 << 20;

/// An account with all that is its own but for the messages that wait.
#[derive(Clone)]
pub struct MovedAccount {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// The keyed hash of the name, where the source keeps it.
    pub name_hash: Option<[u8; 32]>,
    /// PHC string.
    pub password_hash: String,
    /// Creation time.
    pub created_at: UnixMillis,
    /// Since when its owner may not log in, if so.
    pub disabled_at: Option<UnixMillis>,
    /// Every device list as it was signed, by its version, the current one last.
    pub lists: Vec<(u64, Vec<u8>)>,
    /// Hash of the current one.
    pub list_hash: [u8; 32],
    /// Those of the current list, by their ids.
    pub devices: Vec<MovedDevice>,
    /// Live and ended ones, by their ids.
    pub sessions: Vec<MovedSession>,
}

/// A device of a current list.
#[derive(Clone)]
pub struct MovedDevice {
    /// The device.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// When it was last connected.
    pub last_seen_at: UnixMillis,
    /// Raised once by the move.
    pub key_epoch: u32,
    /// Highest one-time prekey id ever uploaded.
    pub max_issued_id: u32,
    /// The newest connection's.
    pub connection_epoch: u64,
    /// Highest number accepted from it.
    pub highest_number: u64,
    /// Which of the last 1,024 were.
    pub window: [u8; 128],
    /// The signed prekey, if there is one.
    pub signed_prekey: Option<SignedPrekey>,
    /// One-time prekeys that stay behind.
    pub one_time_prekeys: u64,
    /// What it must be told, oldest first.
    pub notices: Vec<MovedNotice>,
}

/// A session.
#[derive(Clone)]
pub struct MovedSession {
    /// The session.
    pub id: SessionId,
    /// The device it is on.
    pub address: DeviceAddress,
    /// Hash of the current refresh token.
    pub refresh_hash: RefreshTokenHash,
    /// Hash of the one before.
    pub previous_hash: Option<RefreshTokenHash>,
    /// An access token is good only with this generation.
    pub generation: u32,
    /// Beginning.
    pub created_at: UnixMillis,
    /// Last log-in or refresh.
    pub last_used_at: UnixMillis,
    /// Whether it has ended.
    pub ended: bool,
}

/// A notice, with the codes that both stores have for kinds and reasons.
#[derive(Clone)]
pub struct MovedNotice {
    /// 1: own messages that will not be delivered; 2: others' that were not kept.
    pub kind: u8,
    /// Why, by its code.
    pub reason: u8,
    /// The other device.
    pub peer: DeviceAddress,
    /// How many messages it is about.
    pub count: u64,
    /// Their numbers, ascending, for kind 1.
    pub numbers: Vec<u64>,
    /// When it was changed last.
    pub created_at: UnixMillis,
    /// Whether it was read for delivery.
    pub sealed: bool,
}

/// A message that waits.
#[derive(Clone)]
pub struct MovedMessage {
    /// Where it is in its queue; only for asking for what comes after.
    pub position: u64,
    /// Who sent it.
    pub from: DeviceAddress,
    /// Under which number.
    pub number: u64,
    /// When it was accepted.
    pub accepted_at: UnixMillis,
    /// As it came.
    pub ciphertext: Vec<u8>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts.
    pub accounts: u64,
    /// Messages waiting.
    pub messages: u64,
}

/// What a move is, for as long as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovePlan {
    /// The server's id, which stays.
    pub server: ServerId,
    /// The source's id: a target takes up only the move that it was begun with.
    pub from: StoreId,
    /// The target's id: another one, because the two go different ways from now on.
    pub to: StoreId,
    /// When it began.
    pub at: UnixMillis,
}

impl MovePlan {
    /// By how much every key epoch rises.
    #[must_use]
    pub fn epoch_step(&self) -> u32 {
        let [a, b, c, d, ..] = *self.to.as_bytes();
        (u32::from_be_bytes([a, b, c, d]) % EPOCH_STEP_MAX).saturating_add(1)
    }
}

/// How far a move has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The move that the target has; its id of the target counts, not a newly drawn one.
    pub plan: MovePlan,
    /// The last account that is there with all its messages.
    pub after: Option<AccountId>,
}

/// Why a target cannot take a move.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It holds something.
    #[error("the target is not empty; a move needs one in which nothing was ever stored")]
    NotEmpty,
    /// It holds a part of another one.
    #[error(
        "the target holds a part of another move, from a store with the id {0}; finish that one, or name an empty target"
    )]
    OtherMove(StoreId),
    /// It cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store that nobody else uses, read from its first account to its last.
#[async_trait]
pub trait TransferSource: Send {
    /// Its server's id and its own.
    async fn ids(&mut self) -> Result<(ServerId, StoreId), StoreError>;
    /// How much there is.
    async fn totals(&mut self) -> Result<Totals, StoreError>;
    /// Accounts with an id above `after`, ascending, at most `limit`.
    async fn accounts(&mut self, after: Option<AccountId>, limit: usize) -> Result<Vec<MovedAccount>, StoreError>;
    /// The messages of a device's queue that come after this position, oldest first, at most `limit`.
    async fn messages(
        &mut self,
        to: &DeviceAddress,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MovedMessage>, StoreError>;
    /// Invites that were not used yet, by their hashes.
    async fn invites(&mut self) -> Result<Vec<InviteRecord>, StoreError>;
    /// The keyed hashes of retired names, ascending.
    async fn retired_names(&mut self) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Notes that everything has gone elsewhere: from now on no server starts on this store, unless an operator takes the note
    /// away. Nothing else changes.
    async fn moved_away(&mut self) -> Result<(), StoreError>;
}

/// A store that is being filled. Nothing serves from it before [`finish`](Self::finish).
#[async_trait]
pub trait TransferTarget: TransferSource {
    /// Begins the move, or takes up the one that is there.
    async fn begin(&mut self, plan: MovePlan) -> Result<Progress, BeginError>;
    /// Puts accounts there, without messages, whatever was there of them before. `name_hash` is set.
    async fn put_accounts(&mut self, accounts: &[MovedAccount]) -> Result<(), StoreError>;
    /// Adds messages to the ends of queues of the accounts that were put last, those of one queue in its order.
    async fn put_messages(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), StoreError>;
    /// Notes that the accounts that were put last are whole: of them this one has the highest id.
    async fn done(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// Puts invites there.
    async fn put_invites(&mut self, invites: &[InviteRecord]) -> Result<(), StoreError>;
    /// Puts hashes of retired names there.
    async fn put_retired_names(&mut self, names: &[[u8; 32]]) -> Result<(), StoreError>;
    /// What of the whole cannot be true, by the store's own rules; empty when all is well.
    async fn findings(&mut self) -> Result<Vec<String>, StoreError>;
    /// Makes it a store that can be served.
    async fn finish(&mut self) -> Result<(), StoreError>;
}
