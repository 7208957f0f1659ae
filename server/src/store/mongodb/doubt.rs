//! Queues whose counters may be too high, because an operation that reserves or releases room got no answer.
//!
//! They are kept in memory until the database knows them too: while it is away, nothing can be recorded there.

use std::collections::BTreeSet;
use std::sync::Arc;

use mongodb::bson::doc;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::db::{Db, Doubtful};
use super::error::DbError;
use super::values;

/// Queues that one update marks.
const MARKED_AT_ONCE: usize = 1_000;

/// A doubt about the counters of some queues. Unless it is resolved, the queues stay in doubt when it is dropped, in
/// whatever way the operation that holds it ends.
pub(super) struct Doubt {
    queues: BTreeSet<DeviceAddress>,
    doubtful: Doubtful,
}

impl Doubt {
    /// Ends the doubt: everything went as it should.
    pub(super) fn resolve(mut self) {
        self.queues.clear();
    }

    /// Ends the doubt about all queues but these.
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
    /// Doubts the counters of these queues from here on, until the doubt is resolved.
    pub(super) fn doubt(&self, queues: impl IntoIterator<Item = DeviceAddress>) -> Doubt {
        Doubt { queues: queues.into_iter().collect(), doubtful: Arc::clone(&self.doubtful) }
    }

    /// Marks the queues in doubt in the database, so that the node that sweeps counts them again.
    pub(super) async fn note_doubts(&self, now: UnixMillis) -> Result<(), DbError> {
        let noted = std::mem::take(&mut *self.doubtful.lock());
        // They return to the doubtful ones unless all are marked.
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
