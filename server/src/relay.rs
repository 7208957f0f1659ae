//! Hints from one node to the others: *this device has new rows*, *these sessions ended*.
//!
//! The store is the truth, and a hint can be lost, forged or late. A hint therefore carries only ids, and a node that
//! hears one looks into the store. A node also sweeps its connected devices without hints, unless it is the only node.
//! A back end passes what it hears to a [`Listener`].

use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress};

pub mod local;
pub mod nats;

/// A message from one node to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The device's queue has new rows.
    Wake(DeviceAddress),
    /// The device has a new connection, possibly on another node than before.
    Connected(DeviceAddress),
    /// These logins have ended.
    SessionsEnded(Vec<SessionId>),
    /// The account has another device list.
    DeviceListChanged(AccountId),
}

/// How a node learns what the others did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// There are no other nodes.
    Local,
    /// There can be other nodes, and nothing carries hints: the node finds what they did by looking into the store.
    Absent,
    /// The relay is connected.
    Connected,
    /// The relay is configured but cannot be reached. The node behaves as without a relay until it can.
    Disconnected,
}

impl RelayState {
    /// Returns a word for health pages, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Absent => "absent",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

/// Counts of what a relay has carried since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Hints passed to the relay.
    pub sent: u64,
    /// Hints that were heard and decoded.
    pub heard: u64,
    /// Hints that were dropped or could not be decoded. The sweep finds what they were about.
    pub dropped: u64,
}

/// Carries hints between nodes. Publishing never waits and never fails, because the sweep finds what a lost hint was
/// about.
pub trait Relay: Send + Sync + 'static {
    /// Sends a hint to every other node.
    fn publish(&self, hint: Hint);

    /// Returns how the node learns what the others did.
    fn state(&self) -> RelayState;

    /// Returns the counts of what was carried.
    fn counts(&self) -> RelayCounts {
        RelayCounts::default()
    }

    /// Returns whether this is the only node, so that nothing can be missed and nothing has to be swept.
    fn is_local(&self) -> bool {
        self.state() == RelayState::Local
    }
}

/// A receiver of the hints of other nodes. No method waits.
pub trait Listener: Send + Sync + 'static {
    /// Handles a hint, which another node sent or somebody forged.
    fn heard(&self, hint: Hint);
    /// Handles that hints may have been missed.
    fn missed(&self);
}
