//! The contracts of the two ends of a move.

use async_trait::async_trait;
use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::moved::{MovedAccount, MovedMessage};
use super::plan::{BeginError, MovePlan, Progress, Totals};
use crate::store::error::StoreError;
use crate::store::invites::InviteRecord;

/// A store that nothing else uses, read from its first account to its last.
#[async_trait]
pub trait TransferSource: Send {
    /// Returns the ids of its server and of itself.
    async fn ids(&mut self) -> Result<(ServerId, StoreId), StoreError>;
    /// Returns how much it holds.
    async fn totals(&mut self) -> Result<Totals, StoreError>;
    /// Returns up to `limit` accounts with ids above `after`, ascending.
    async fn accounts(&mut self, after: Option<AccountId>, limit: usize) -> Result<Vec<MovedAccount>, StoreError>;
    /// Returns up to `limit` messages of a device's queue that come after this position, oldest first.
    async fn messages(
        &mut self,
        to: &DeviceAddress,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MovedMessage>, StoreError>;
    /// Returns the unused invites, by hash.
    async fn invites(&mut self) -> Result<Vec<InviteRecord>, StoreError>;
    /// Returns the keyed hashes of retired names, ascending.
    async fn retired_names(&mut self) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Marks the store as moved: from now on no server starts on it, unless an operator takes the mark away. Nothing
    /// else changes.
    async fn moved_away(&mut self) -> Result<(), StoreError>;
}

/// A store that is being filled. Nothing serves from it before [`finish`](Self::finish).
#[async_trait]
pub trait TransferTarget: TransferSource {
    /// Begins the move, or resumes the one that the target holds.
    async fn begin(&mut self, plan: MovePlan) -> Result<Progress, BeginError>;
    /// Writes accounts, without messages, over everything that the target holds of them. `name_hash` is set.
    async fn put_accounts(&mut self, accounts: &[MovedAccount]) -> Result<(), StoreError>;
    /// Appends messages to queues of the accounts that were put last, those of one queue in its order.
    async fn put_messages(&mut self, messages: &[(DeviceAddress, MovedMessage)]) -> Result<(), StoreError>;
    /// Records that the accounts that were put last are complete. `account` is the highest id among them.
    async fn done(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// Writes invites.
    async fn put_invites(&mut self, invites: &[InviteRecord]) -> Result<(), StoreError>;
    /// Writes hashes of retired names.
    async fn put_retired_names(&mut self, names: &[[u8; 32]]) -> Result<(), StoreError>;
    /// Returns what cannot be true of the whole, by the store's own rules; empty if all is well.
    async fn findings(&mut self) -> Result<Vec<String>, StoreError>;
    /// Makes it a store that can be served.
    async fn finish(&mut self) -> Result<(), StoreError>;
}
