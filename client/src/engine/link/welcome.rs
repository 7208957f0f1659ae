//! What a welcome says, as far as it can be believed.

use sealpost_api::frames::Welcome;
use sealpost_api::ids::{KeyEpoch, StoreId};
use sealpost_api::limits::ROLLBACK_JUMP;

/// What the server says of this device.
pub(crate) struct Welcomed {
    /// The highest number that it has seen.
    pub(crate) highest: u64,
    pub(crate) epoch: u32,
    pub(crate) store: StoreId,
    /// Rows that wait.
    pub(crate) pending: u64,
}

/// No device has sent as many messages as the welcome says: nothing of it can be relied on.
pub(crate) struct Unbelievable;

impl Welcomed {
    /// Reads a welcome.
    pub(crate) fn read(welcome: &Welcome) -> Result<Self, Unbelievable> {
        let highest = welcome.highest_number.0;
        let room = highest.checked_add(ROLLBACK_JUMP).and_then(|number| number.checked_add(u64::from(u32::MAX)));
        let KeyEpoch(epoch) = welcome.key_epoch;
        match room {
            Some(_) => Ok(Self { highest, epoch, store: welcome.store, pending: welcome.pending }),
            None => Err(Unbelievable),
        }
    }
}
