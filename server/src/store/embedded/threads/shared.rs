//! What all threads of an open store share: whether it has stopped, and how much is waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::store::error::StoreError;
use crate::store::watch::StoreObserver;

/// Bytes of ciphertexts that may wait for the writer; beyond, [`StoreError::Busy`]. A slow disk takes half a second for
/// them.
const WAITING_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The shared state of one open store.
#[derive(Debug)]
pub(crate) struct Shared {
    stopped: watch::Sender<Option<Arc<str>>>,
    closing: AtomicBool,
    waiting_bytes: AtomicUsize,
    /// Is told how long commits take.
    pub(crate) observer: Arc<dyn StoreObserver>,
}

impl Shared {
    /// The state of a store that has just been opened.
    pub(crate) fn new(observer: Arc<dyn StoreObserver>) -> Self {
        Self {
            stopped: watch::Sender::new(None),
            closing: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            observer,
        }
    }

    /// Stops the store for good. Returns the reason; the first one stays.
    pub(crate) fn stop(&self, reason: &str) -> Arc<str> {
        let mut first: Arc<str> = reason.into();
        self.stopped.send_modify(|current| match current {
            Some(earlier) => first = Arc::clone(earlier),
            None => *current = Some(Arc::clone(&first)),
        });
        first
    }

    /// Returns why the store has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<Arc<str>> {
        self.stopped.borrow().clone()
    }

    /// Follows why the store has stopped.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.stopped.subscribe()
    }

    /// Refuses new work from now on. Returns whether it was refused before.
    pub(crate) fn begin_close(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// Checks that the store takes work.
    pub(crate) fn open(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.stopped() {
            return Err(StoreError::Stopped(reason));
        }
        if self.closing.load(Ordering::Acquire) { Err(self.gone()) } else { Ok(()) }
    }

    /// Returns the error for work whose thread is gone.
    pub(crate) fn gone(&self) -> StoreError {
        StoreError::Stopped(self.stopped().unwrap_or_else(|| "it was closed".into()))
    }

    /// Counts bytes as waiting until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Waiting, StoreError> {
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let waiting = Waiting { shared: Arc::clone(self), bytes };
        if before > 0 && before.saturating_add(bytes) > WAITING_MAX_BYTES { Err(StoreError::Busy) } else { Ok(waiting) }
    }
}

/// Bytes that are counted as waiting.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Waiting {
    /// Returns how many there are.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.waiting_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
