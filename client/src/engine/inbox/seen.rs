//! Deliveries recognised: the newest of each sender device are remembered by number and hash.

use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, without};

use crate::engine::error::EngineError;
use crate::engine::step::Step;
use crate::vault::{Table, VaultTransaction};

/// Deliveries remembered for each sender device. What is older is recognised by the ratchet, whose keys are used up.
const SEEN_MAX: u64 = 2_048;

/// What a delivery is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sighting {
    New,
    /// The same number and bytes were taken in before.
    Duplicate,
    /// The same number, with other bytes.
    Reused,
}

fn number_key(address: &[u8], number: &[u8]) -> Vec<u8> {
    [address, b"n", number].concat()
}

fn slot_key(address: &[u8], slot: u64) -> Vec<u8> {
    [address, b"r", &slot.to_be_bytes()].concat()
}

/// Returns what a delivery is.
pub(crate) fn sight(
    vault: &mut dyn VaultTransaction,
    from: DeviceAddress,
    number: u64,
    hash: &[u8; 32],
) -> Result<Sighting, EngineError> {
    if without(Countermeasure::ShownOnce) {
        return Ok(planted_always_new());
    }
    Ok(match vault.get(Table::Seen, &number_key(&from.to_bytes(), &number.to_be_bytes()))? {
        None => Sighting::New,
        Some(seen) if seen.as_slice() == hash => Sighting::Duplicate,
        Some(_) => Sighting::Reused,
    })
}

const fn planted_always_new() -> Sighting {
    Sighting::New
}

/// Remembers a delivery. The ring keeps the newest [`SEEN_MAX`] of each sender device.
pub(crate) fn remember(
    step: &mut Step<'_>,
    from: DeviceAddress,
    number: u64,
    hash: &[u8; 32],
) -> Result<(), EngineError> {
    let address = from.to_bytes();
    let peer = step.peer(from);
    let slot = slot_key(&address, peer.seen % SEEN_MAX);
    peer.seen = peer.seen.saturating_add(1);
    if let Some(oldest) = step.vault.get(Table::Seen, &slot)? {
        step.vault.delete(Table::Seen, &number_key(&address, &oldest))?;
    }
    step.vault.put(Table::Seen, &slot, &number.to_be_bytes())?;
    step.vault.put(Table::Seen, &number_key(&address, &number.to_be_bytes()), hash)?;
    Ok(())
}

/// Forgets what was delivered of a device.
pub(crate) fn forget_seen(
    vault: &mut dyn VaultTransaction,
    address: &DeviceAddress,
    seen: u64,
) -> Result<(), EngineError> {
    let address = address.to_bytes();
    for slot in 0..seen.min(SEEN_MAX) {
        let slot = slot_key(&address, slot);
        if let Some(number) = vault.get(Table::Seen, &slot)? {
            vault.delete(Table::Seen, &number_key(&address, &number))?;
            vault.delete(Table::Seen, &slot)?;
        }
    }
    Ok(())
}
