//! What the nodes that share a store ask it about each other: cheap questions about many at once, asked again and again, and
//! the few facts in which they must agree.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sealpost_api::ids::{ConnectionEpoch, SessionId};
use sealpost_crypto::DeviceAddress;

use super::StoreError;

/// A connected device, as the store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceGlance {
    /// The device.
    pub address: DeviceAddress,
    /// The epoch of its newest connection, on whichever node that is.
    pub epoch: ConnectionEpoch,
    /// Whether its queue holds anything, delivered or not.
    pub waiting: bool,
}

/// A fact in which all nodes must agree. The store keeps a fingerprint, from which nobody learns the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The key of the hashes of retired names.
    NamesKey,
    /// The secret that is mixed into password hashes, or that there is none.
    Pepper,
    /// The key that access tokens are signed with.
    TokenKey,
}

impl Fact {
    /// Its name in a store.
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
    /// Those of these sessions that are live, of whatever generation. At most a thousand are asked about at once.
    async fn live_sessions(&self, sessions: &[SessionId]) -> Result<BTreeSet<SessionId>, StoreError>;
    /// A glance at each of these devices; one that was never connected, or is gone, is left out. At most a thousand are asked
    /// about at once. What it says may be behind by what happens meanwhile.
    async fn glance(&self, devices: &[DeviceAddress]) -> Result<Vec<DeviceGlance>, StoreError>;
    /// Keeps `first` under the fact's name if there is nothing yet; what is there now.
    async fn agree(&self, fact: Fact, first: [u8; 32]) -> Result<[u8; 32], StoreError>;
    /// Replaces what is kept if it is `from`; whether `to` is there now.
    async fn agree_anew(&self, fact: Fact, from: [u8; 32], to: [u8; 32]) -> Result<bool, StoreError>;
}
