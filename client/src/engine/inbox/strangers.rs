//! Devices of strangers: bounded, because a sender address costs the server nothing to invent.

use sealpost_crypto::DeviceAddress;

use crate::engine::people::People;
use crate::engine::records::Peer;
use crate::engine::store::Rows;

/// Devices of strangers that are remembered: more than write to anyone for the first time between two looks at the
/// screen. Each costs this device up to 300 KiB.
const STRANGER_DEVICES_MAX: usize = 256;

/// Returns the devices that are to be forgotten before a new one is remembered. Strangers that never said anything
/// readable go first, then the oldest.
pub(crate) fn surplus_devices(peers: &Rows<Peer>, people: People<'_>, newcomer: &DeviceAddress) -> Vec<DeviceAddress> {
    if !people.is_stranger(newcomer) {
        return Vec::new();
    }
    let strangers = peers.iter().filter(|(address, _)| people.is_stranger(address));
    let mut strangers: Vec<_> = strangers.map(|(address, peer)| (peer.heard, peer.since, *address)).collect();
    strangers.sort_unstable();
    let surplus = (strangers.len() + 1).saturating_sub(STRANGER_DEVICES_MAX);
    strangers.into_iter().take(surplus).map(|(_, _, address)| address).collect()
}
