//! Key epochs of devices: they rise when a store is restored or moved, so that uploads meant for the former store are
//! refused.

use sealpost_api::ids::{KeyEpoch, StoreId};

/// The key epoch of a device that no restore and no move has touched.
pub const FIRST_KEY_EPOCH: KeyEpoch = KeyEpoch(1);

/// The largest step. It leaves room for four thousand restores before a device's epoch, a u32, cannot rise any more.
const STEP_MAX: u32 = 1 << 20;

/// Returns by how much key epochs rise in a store that gets this id. The step is drawn with the id, so that two
/// restores (or moves) of the same state do not lead to the same epoch: an upload for the first one must not be taken
/// by the second.
#[must_use]
pub fn step(store: StoreId) -> u32 {
    let [a, b, c, d, ..] = *store.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) % STEP_MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_epoch_always_rises() {
        for bytes in [[0; 16], [255; 16], [7; 16]] {
            assert!((1..=STEP_MAX).contains(&step(StoreId::from_bytes(bytes))));
        }
    }
}
