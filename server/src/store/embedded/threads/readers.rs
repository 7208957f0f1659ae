//! Read-only connections, each with its thread, fed from one bounded queue.
//!
//! A read sees everything that was answered before it began: a commit becomes visible when its fsync is done.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::shared::Shared;
use crate::store::embedded::connection::open_reader;
use crate::store::embedded::error::DbError;
use crate::store::embedded::open_error::OpenError;
use crate::store::error::StoreError;

/// Reads that may wait; beyond, [`StoreError::Busy`].
const READS_MAX: usize = 4 * 1024;

/// A read on its way to a connection.
type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The readers' queue and threads.
#[derive(Debug)]
pub(crate) struct Readers {
    reads: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

impl Readers {
    /// Opens the connections and starts their threads.
    pub(crate) fn spawn(path: &Path, count: usize, cache_bytes: u64, shared: Arc<Shared>) -> Result<Self, OpenError> {
        let (reads, inbox) = sync_channel::<Read>(READS_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let connection = open_reader(path, cache_bytes)?;
            let inbox = Arc::clone(&inbox);
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || work(&connection, &inbox))
                .map_err(OpenError::Thread)?;
            threads.push(thread);
        }
        Ok(Self { reads: Mutex::new(Some(reads)), threads: Mutex::new(threads), shared })
    }

    /// Runs `read` on one of the connections, inside one snapshot.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        self.shared.open()?;
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |connection| {
            let value = connection.unchecked_transaction().map_err(DbError::from).and_then(|snapshot| read(&snapshot));
            drop(reply.send(value.map_err(StoreError::from)));
        });
        let sent = self.reads.lock().as_ref().map_or(Err(self.shared.gone()), |reads| {
            reads.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => self.shared.gone(),
            })
        });
        sent?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Failed("a read failed unexpectedly".into())))
    }

    /// Finishes the reads that wait, and closes the connections.
    pub(crate) fn close(&self) {
        drop(self.reads.lock().take());
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader failed unexpectedly");
            }
        }
    }
}

/// Runs one thread: reads until the queue is closed and empty.
fn work(connection: &Connection, inbox: &Mutex<Receiver<Read>>) {
    loop {
        // The guard is dropped before the read runs: one thread waits for work while the others work.
        let next = inbox.lock().recv();
        let Ok(read) = next else { return };
        read(connection);
    }
}
