//! Queues whose counters may be too high, because an operation that takes or gives back room had no answer.
//!
//! Which they are is kept in memory until the database knows it too: while it is away, nothing can be noted there.

use std::collections::BTreeSet;
use std::sync::Arc;

use mongodb::bson::doc;
use parking_lot::Mutex;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::error::DbError;
use super::{Db, values};

/// Queues that one update marks.
const MARKED_AT_ONCE: usize = 1_000;

/// The queues of this process's doubts.
pub(super) type Doubtful = Arc<Mutex<BTreeSet<DeviceAddress>>>;

/// While it lives, and unless it is resolved, also afterwards, some queues are in doubt: whatever ends the operation that
/// holds it, also one that is dropped.
pub(super) struct Doubt {
    queues: BTreeSet<DeviceAddress>,
    doubtful: Doubtful,
}

impl Doubt {
    /// All went as it should.
    pub(super) fn resolve(mut self) {
        self.queues.clear();
    }

    /// So it did for all but these.
    pub(super) fn resolve_but(mut self, left: &BTreeSet<DeviceAddress>) {
        self.queues.retain(|queue| left.contains(queue));
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if !self.queues.is_empty() {
            self.doubtful.lock().append(&mut self.queues);
        }
    }
}

impl Db {
    /// Doubts the counters of these queues from here on, until that is resolved.
    pub(super) fn doubt(&self, queues: impl IntoIterator<Item = DeviceAddress>) -> Doubt {
        Doubt { queues: queues.into_iter().collect(), doubtful: Arc::clone(&self.doubtful) }
    }

    /// Marks the queues in doubt, so that whoever sweeps counts them again.
    pub(super) async fn note_doubts(&self, now: UnixMillis) -> Result<(), DbError> {
        let noted = std::mem::take(&mut *self.doubtful.lock());
        // Back they go, unless all are marked.
        let doubt = self.doubt(noted.iter().copied());
        let queues: Vec<DeviceAddress> = noted.into_iter().collect();
        for chunk in queues.chunks(MARKED_AT_ONCE) {
            let ids: Vec<_> = chunk.iter().map(values::address).collect();
            let mark = doc! { "$max": { "recount_at": values::time(now) } };
            self.devices.update_many(doc! { "_id": { "$in": ids } }, mark).await?;
        }
        doubt.resolve();
        Ok(())
    }
}
