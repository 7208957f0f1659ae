//! Lanes: tasks that each do what waits for them in batches, one batch after the other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use parking_lot::Mutex;
use sealpost_crypto::AccountId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::store::error::StoreError;

/// Some lanes. Everything of one account goes through the same lane.
pub(super) struct Lanes<P> {
    senders: Mutex<Option<Vec<mpsc::Sender<P>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl<P: Send + 'static> Lanes<P> {
    /// Begins `count` lanes on the current runtime. At most `waiting_max` items wait in each; beyond,
    /// [`StoreError::Busy`].
    pub(super) fn begin<L>(count: usize, waiting_max: usize, lane: impl Fn(mpsc::Receiver<P>) -> L) -> Self
    where
        L: Future<Output = ()> + Send + 'static,
    {
        let (mut senders, mut tasks) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let (sender, receiver) = mpsc::channel(waiting_max);
            senders.push(sender);
            tasks.push(tokio::spawn(lane(receiver)));
        }
        Self { senders: Mutex::new(Some(senders)), tasks: Mutex::new(tasks) }
    }

    /// Checks that the lanes take items.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        if self.senders.lock().is_some() { Ok(()) } else { Err(closed()) }
    }

    /// Puts an item into the lane of an account.
    pub(super) fn put(&self, account: AccountId, pending: P) -> Result<(), StoreError> {
        let mut hasher = DefaultHasher::new();
        account.as_bytes().hash(&mut hasher);
        let hash = usize::try_from(hasher.finish() % 1_024).unwrap_or(0);
        let sender = self.senders.lock().as_ref().and_then(|senders| {
            let lane = hash.checked_rem(senders.len())?;
            senders.get(lane).cloned()
        });
        sender.ok_or_else(closed)?.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }

    /// Takes no more items, and waits until all that were taken are done.
    pub(super) async fn close(&self) {
        drop(self.senders.lock().take());
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if task.await.is_err() {
                tracing::error!("a lane of the store failed unexpectedly");
            }
        }
    }
}

/// The error of a closed store.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

/// Fills `batch` with up to `most` items, waiting only while it is empty. Items that are left in it stay first. Returns
/// `false` once the channel is closed and drained.
pub(super) async fn fill<P>(batch: &mut Vec<P>, receiver: &mut mpsc::Receiver<P>, most: usize) -> bool {
    if batch.is_empty() && receiver.recv_many(batch, most).await == 0 {
        return false;
    }
    while batch.len() < most
        && let Ok(pending) = receiver.try_recv()
    {
        batch.push(pending);
    }
    true
}
