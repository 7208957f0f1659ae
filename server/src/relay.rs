//! Hints from one node to the others: *this device has new rows*, *these sessions ended*.
//!
//! The store is the truth and a hint may be lost, forged or late. So a hint carries ids and nothing else, whoever hears one
//! looks into the store, and a node that hears of others only through a relay sweeps its connected devices besides.
//! A back end hands what it hears to [`Hub::hear`](crate::service::hub::Hub::hear).

use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress};

pub mod local;

/// What one node tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The device's queue has new rows.
    Wake(DeviceAddress),
    /// These sessions are over.
    SessionsEnded(Vec<SessionId>),
    /// The account has a device list with this version.
    DeviceListChanged(AccountId, u64),
}

/// Carries hints between nodes. Publishing never waits and never fails: what gets lost is found by the sweep.
pub trait Relay: Send + Sync + 'static {
    /// Tells every other node.
    fn publish(&self, hint: Hint);

    /// Whether there are no other nodes, so that nothing can be missed and nothing needs to be swept.
    fn is_local(&self) -> bool;
}
