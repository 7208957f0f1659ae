//! A move as a whole: between which stores it goes, and how far it is.

use sealpost_api::ids::{ServerId, StoreId};
use sealpost_crypto::{AccountId, UnixMillis};

use crate::domain::key_epochs;
use crate::store::error::StoreError;

/// How much a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts.
    pub accounts: u64,
    /// Messages that wait.
    pub messages: u64,
}

/// What identifies a move for as long as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovePlan {
    /// The server's id, which stays.
    pub server: ServerId,
    /// The source's id. A target resumes only the move that it was begun with.
    pub from: StoreId,
    /// The target's id: a new one, because the two stores go different ways from now on.
    pub to: StoreId,
    /// When the move began.
    pub at: UnixMillis,
}

impl MovePlan {
    /// Returns by how much every key epoch rises.
    #[must_use]
    pub fn epoch_step(&self) -> u32 {
        key_epochs::step(self.to)
    }
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The move that the target holds. Its target id is the one that counts, not a newly drawn one.
    pub plan: MovePlan,
    /// The last account that is in the target with all its messages.
    pub after: Option<AccountId>,
}

/// Why a target cannot take a move.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It holds something.
    #[error("the target is not empty; a move needs one in which nothing was ever stored")]
    NotEmpty,
    /// It holds a part of another move.
    #[error(
        "the target holds a part of another move, from a store with the id {0}; finish that one, or name an empty target"
    )]
    OtherMove(StoreId),
    /// It cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}
