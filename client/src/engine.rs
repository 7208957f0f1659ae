//! The client engine: everything a Sealpost client decides, without I/O.
//!
//! It takes [`Input`]s and gives [`Effect`]s; it opens no connection, reads no clock and has no global state. What it must
//! not forget goes through [`VaultTransaction`].
//!
//! # How a driver uses it
//!
//! 1. Begin a vault transaction and make a [`Context`] of it, with the time and a random number generator.
//! 2. Call [`Engine::handle`] with every input at hand, and collect the effects.
//! 3. Commit. Only then perform the effects, in order.
//! 4. If `handle` fails or the commit does, drop the engine and its effects, and [open](Engine::open) a new one.
//!
//! So an ack, a frame or a request never leaves before what it promises is on disk, and nothing in memory is needed to go
//! on after a crash: the engine remembers only the connection and the requests that are under way.

mod command;
mod effect;
mod event;
mod model;

pub use command::{Command, CommandError, CommandId, DeviceOffer, InvalidCommand, Outcome};
pub use effect::{Effect, HttpResponse, Input, Method, Request, RequestFailure, RequestId, StreamRefusal};
pub use event::{Event, OfflineReason};
pub use model::{
    AccountInfo, ContactInfo, DeviceInfo, Direction, GapKind, HistoryEntry, KeyStatus, MessageFlag, MessageReceipt, Notice,
    NoticeBody, OutboxEntry, PeerDevice, SessionRow, Status, Undecryptable,
};

use rand_core::CryptoRng;
use sealpost_crypto::UnixMillis;

use crate::vault::{VaultError, VaultTransaction};

/// What the engine is lent for one call.
pub struct Context<'a> {
    /// The open transaction; the driver commits it.
    pub vault: &'a mut dyn VaultTransaction,
    /// The time.
    pub now: UnixMillis,
    /// For keys, ids, tokens and jitter.
    pub rng: &'a mut dyn CryptoRng,
}

/// The engine can't go on with this vault: drop it, and the transaction with it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The vault failed.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A record in the vault is not what this version wrote.
    #[error("the vault's record of {what} could not be read")]
    Record {
        /// What it is about.
        what: &'static str,
    },
    /// A bug of ours.
    #[error("something went wrong inside the client")]
    Internal,
}
