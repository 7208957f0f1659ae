//! The lanes of messages.

use std::sync::Arc;

use sealpost_crypto::UnixMillis;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::batch::{Pending, run};
use super::outcome::Outcome;
use crate::domain::accepting::Accept;
use crate::store::error::StoreError;
use crate::store::mongodb::db::{Db, pause};
use crate::store::mongodb::lanes::{Lanes, closed, fill};

/// Batches that are under way at once.
const LANES: usize = 4;

/// Messages in a batch.
const BATCH_MAX: usize = 256;

/// Messages that wait in a lane; beyond, [`StoreError::Busy`].
const WAITING_MAX: usize = 2_048;

/// Ciphertext of all messages that wait or are being written, in KiB; beyond, [`StoreError::Busy`].
const WAITING_KIB_MAX: usize = 64 * 1_024;

/// The lanes of messages.
pub(crate) struct Accepting {
    lanes: Lanes<Pending>,
    room: Arc<Semaphore>,
}

impl Accepting {
    /// Begins the lanes on the current runtime.
    pub(crate) fn begin(db: &Db) -> Self {
        let lanes = Lanes::begin(LANES, WAITING_MAX, |receiver| lane(db.clone(), receiver));
        Self { lanes, room: Arc::new(Semaphore::new(WAITING_KIB_MAX)) }
    }

    /// Checks that the lanes take messages.
    pub(crate) fn open(&self) -> Result<(), StoreError> {
        self.lanes.open()
    }

    /// See [`QueueStore::accept`](crate::store::QueueStore::accept).
    pub(crate) async fn accept(&self, accept: Accept, now: UnixMillis) -> Outcome {
        let bytes: usize = accept.send.copies.iter().map(|copy| copy.ciphertext.len()).sum();
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| StoreError::Busy)?;
        let (from, (answer, answered)) = (accept.from.account, oneshot::channel());
        self.lanes.put(from, Pending::new(accept, now, answer, room))?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more messages, and waits until all that were taken are answered.
    pub(crate) async fn close(&self) {
        self.lanes.close().await;
    }
}

/// Runs one lane.
async fn lane(db: Db, mut receiver: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while fill(&mut batch, &mut receiver, BATCH_MAX).await {
        batch = run(&db, std::mem::take(&mut batch)).await;
        if let Some(tried) = batch.iter().map(Pending::tried).max().filter(|tried| *tried > 0) {
            pause(tried).await;
        }
    }
}
