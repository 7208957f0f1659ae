//! Expiry: rows that waited longer than promised are deleted, and both sides are told.

use sealpost_api::limits::QUEUE_RETENTION_MILLIS;

use super::Core;
use crate::store::StoreError;

/// The rows expired in one step of the store, so that other writes get their turn.
const BATCH: usize = 500;

impl Core {
    /// Expires everything that is due, step by step, and wakes the connected devices that have a notice to read.
    /// Returns the number of expired messages.
    ///
    /// # Errors
    /// The store's failures. Completed steps stay done, and the next call continues.
    pub async fn expire(&self) -> Result<u64, StoreError> {
        let mut rows = 0_u64;
        loop {
            let now = self.clock.now();
            let expired = self.store.expire(now.saturating_sub(QUEUE_RETENTION_MILLIS), now, BATCH).await?;
            self.wake(&expired.notified);
            if expired.deleted == 0 {
                return Ok(rows);
            }
            rows = rows.saturating_add(expired.deleted);
        }
    }
}
