//! What the nodes that share a store ask it about each other: cheap questions about many connections, asked again and
//! again, and the few facts in which all nodes must agree.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sealpost_api::ids::{ConnectionEpoch, SessionId};
use sealpost_crypto::DeviceAddress;

use super::error::StoreError;

/// A connected device, as the store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceGlance {
    /// The device.
    pub address: DeviceAddress,
    /// The epoch of its newest connection, on any node.
    pub epoch: ConnectionEpoch,
    /// Whether its queue holds anything, delivered or not.
    pub waiting: bool,
}

/// A fact in which all nodes must agree. The store keeps a fingerprint that does not reveal the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The key of the hashes of retired names.
    NamesKey,
    /// The secret that is mixed into password hashes, or that there is none.
    Pepper,
    /// The key that signs access tokens.
    TokenKey,
}

impl Fact {
    /// Returns the fact's name in a store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NamesKey => "fact.names_key",
            Self::Pepper => "fact.pepper",
            Self::TokenKey => "fact.token_key",
        }
    }
}

/// Questions about many connections at once, and facts in which the nodes agree.
#[async_trait]
pub trait NodeStore {
    /// Returns those of these sessions that are live, of any generation. Takes at most a thousand.
    async fn live_sessions(&self, sessions: &[SessionId]) -> Result<BTreeSet<SessionId>, StoreError>;
    /// Returns a glance at each of these devices, except those that never connected or are gone. Takes at most a
    /// thousand. The answer may lag behind what happens meanwhile.
    async fn glance(&self, devices: &[DeviceAddress]) -> Result<Vec<DeviceGlance>, StoreError>;
    /// Records `first` for a fact if nothing is recorded yet. Returns what is recorded now.
    async fn agree(&self, fact: Fact, first: [u8; 32]) -> Result<[u8; 32], StoreError>;
    /// Replaces what is recorded for a fact if it is `from`. Returns whether `to` is recorded now.
    async fn agree_anew(&self, fact: Fact, from: [u8; 32], to: [u8; 32]) -> Result<bool, StoreError>;
}
