//! What all parts of an open store share: whether it has stopped, and how much waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::watch::StoreObserver;
use crate::store::StoreError;

/// Bytes of ciphertexts that may wait for the writer; beyond, [`StoreError::Busy`]. Half a second of a slow disk.
const WAITING_MAX_BYTES: usize = 64 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    stopped: watch::Sender<Option<Arc<str>>>,
    closing: AtomicBool,
    waiting_bytes: AtomicUsize,
    /// Who is told how long commits take.
    pub(super) observer: Arc<dyn StoreObserver>,
}

impl Shared {
    pub(super) fn new(observer: Arc<dyn StoreObserver>) -> Self {
        Self {
            stopped: watch::Sender::new(None),
            closing: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            observer,
        }
    }

    /// Stops the store for good; the first reason stays, and is returned.
    pub(super) fn stop(&self, reason: &str) -> Arc<str> {
        let mut first: Arc<str> = reason.into();
        self.stopped.send_modify(|current| match current {
            Some(earlier) => first = Arc::clone(earlier),
            None => *current = Some(Arc::clone(&first)),
        });
        first
    }

    /// Why it has stopped, if it has.
    pub(super) fn stopped(&self) -> Option<Arc<str>> {
        self.stopped.borrow().clone()
    }

    /// Follows it.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.stopped.subscribe()
    }

    /// Refuses new work from now on; whether it did so before.
    pub(super) fn begin_close(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// Whether work is taken.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.stopped() {
            return Err(StoreError::Stopped(reason));
        }
        if self.closing.load(Ordering::Acquire) { Err(self.gone()) } else { Ok(()) }
    }

    /// The answer when nobody is there to answer.
    pub(super) fn gone(&self) -> StoreError {
        StoreError::Stopped(self.stopped().unwrap_or_else(|| "it was closed".into()))
    }

    /// Counts bytes that wait until the returned value is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Waiting, StoreError> {
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let waiting = Waiting { shared: Arc::clone(self), bytes };
        if before > 0 && before.saturating_add(bytes) > WAITING_MAX_BYTES { Err(StoreError::Busy) } else { Ok(waiting) }
    }
}

/// Bytes that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Waiting {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.waiting_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
