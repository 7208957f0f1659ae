//! Hints from one node to the others: *this device has new rows*, *these sessions ended*.
//!
//! The store is the truth and a hint may be lost, forged or late. So a hint carries ids and nothing else, whoever hears one
//! looks into the store, and a node that hears of others only through a relay, or not at all, sweeps its connected devices
//! besides. A back end hands what it hears to a [`Listener`].

use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress};

pub mod local;
pub mod nats;

/// What one node tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The device's queue has new rows.
    Wake(DeviceAddress),
    /// The device has a new connection, which may be on another node than the one before.
    Connected(DeviceAddress),
    /// These sessions are over.
    SessionsEnded(Vec<SessionId>),
    /// The account has another device list.
    DeviceListChanged(AccountId),
}

/// How a node hears of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// There are no others.
    Local,
    /// There may be others, and nothing carries hints: what they do is found by looking into the store.
    Absent,
    /// Hints come and go.
    Connected,
    /// There should be a relay, and it cannot be reached: as if it were absent, until it is back.
    Disconnected,
}

impl RelayState {
    /// A word for health, metrics and logs.
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

/// What a relay has carried since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Hints handed to the relay.
    pub sent: u64,
    /// Hints heard that could be read.
    pub heard: u64,
    /// Hints that were not carried, or could not be read: the sweep finds what they were about.
    pub dropped: u64,
}

/// Carries hints between nodes. Publishing never waits and never fails: what gets lost is found by the sweep.
pub trait Relay: Send + Sync + 'static {
    /// Tells every other node.
    fn publish(&self, hint: Hint);

    /// How the node hears of the others.
    fn state(&self) -> RelayState;

    /// What was carried.
    fn counts(&self) -> RelayCounts {
        RelayCounts::default()
    }

    /// Whether there are no other nodes, so that nothing can be missed and nothing needs to be swept.
    fn is_local(&self) -> bool {
        self.state() == RelayState::Local
    }
}

/// Hears what other nodes publish. No method waits.
pub trait Listener: Send + Sync + 'static {
    /// A hint, from another node or forged.
    fn heard(&self, hint: Hint);
    /// Hints may have been missed.
    fn missed(&self);
}
