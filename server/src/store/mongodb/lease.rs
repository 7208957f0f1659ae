//! Leases: what one node does for all, one at a time. A node that dies holds its lease until the time is over.

use mongodb::bson::doc;
use sealpost_crypto::UnixMillis;
use tokio::time::Instant;

use super::db::Db;
use super::error::{DbError, is_duplicate};
use super::values;

/// How much the clocks of nodes may differ, in ms. With more, a node does not start.
const SKEW_MILLIS: u64 = 300_000;

/// A lease that this process may hold.
pub(super) struct Lease<'a> {
    db: &'a Db,
    name: &'static str,
    now: UnixMillis,
    begun: Instant,
    millis: u64,
    /// When it was last taken or prolonged.
    held: parking_lot::Mutex<Option<Instant>>,
}

impl<'a> Lease<'a> {
    /// A lease that is valid for `millis` each time it is taken. Time passes from `now` on.
    pub(super) fn new(db: &'a Db, name: &'static str, now: UnixMillis, millis: u64) -> Self {
        Self { db, name, now, begun: Instant::now(), millis, held: parking_lot::Mutex::new(None) }
    }

    /// Takes or prolongs the lease. Returns whether this process holds it. A lease that ends later than possible was
    /// taken with a wrong clock, and counts as free.
    pub(super) async fn hold(&self) -> Result<bool, DbError> {
        let (begun, holder) = (Instant::now(), &*self.db.holder);
        let now = self.now.saturating_add(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let beyond = self.millis.saturating_mul(2).saturating_add(SKEW_MILLIS);
        let free = doc! { "_id": self.name, "$or": [
            { "holder": holder },
            { "until": { "$lte": values::time(now) } },
            { "until": { "$gt": values::time(now.saturating_add(beyond)) } },
        ] };
        let until = values::time(now.saturating_add(self.millis));
        let mine = doc! { "$set": { "holder": holder, "until": until } };
        match self.db.meta.update_one(free, mine).upsert(true).await {
            Ok(_) => {
                *self.held.lock() = Some(begun);
                Ok(true)
            }
            // Another process holds it.
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes or prolongs the lease, asking the database only once a third of the time is over.
    pub(super) async fn hold_on(&self) -> Result<bool, DbError> {
        let held = *self.held.lock();
        let fresh = |at: &Instant| u64::try_from(at.elapsed().as_millis()).is_ok_and(|passed| passed < self.millis / 3);
        if held.as_ref().is_some_and(fresh) { Ok(true) } else { self.hold().await }
    }

    /// Releases the lease.
    pub(super) async fn release(&self) -> Result<(), DbError> {
        self.db.meta.delete_one(doc! { "_id": self.name, "holder": &*self.db.holder }).await?;
        Ok(())
    }
}
