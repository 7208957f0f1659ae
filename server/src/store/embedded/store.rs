//! The open store: where operations enter, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use sealpost_api::ids::{ServerId, StoreId};

use super::error::DbError;
use super::space::Space;
use super::threads::job::{Class, Haste, Operation};
use super::threads::readers::Readers;
use super::threads::shared::Shared;
use super::threads::tx::Tx;
use super::threads::writer::Message;
use super::{files, restore, verify};
use crate::store::back_end::{AfterRestore, Store};
use crate::store::error::StoreError;
use crate::store::watch::FileSizes;

/// The open store. Dropping it closes it, and waits until its files are closed.
pub struct EmbeddedStore {
    pub(super) threads: Arc<Threads>,
    pub(super) shared: Arc<Shared>,
    pub(super) space: Space,
    pub(super) database: PathBuf,
    pub(super) server_id: ServerId,
    pub(super) store_id: Mutex<StoreId>,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EmbeddedStore").field("store_id", &*self.store_id.lock()).finish_non_exhaustive()
    }
}

/// The threads that hold the files.
pub(super) struct Threads {
    pub(super) jobs: SyncSender<Message>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
    pub(super) readers: Readers,
    pub(super) shared: Arc<Shared>,
}

impl Threads {
    /// Ends the threads, and waits for that. The readers end first, so that the writer closes the last connection.
    fn close(&self) {
        self.shared.begin_close();
        self.readers.close();
        // The lock is held until the writer has ended, so that a second call does not return earlier than the first.
        let mut writer = self.writer.lock();
        if let Some(writer) = writer.take() {
            // The writer may have ended already.
            drop(self.jobs.send(Message::Close));
            if writer.join().is_err() {
                tracing::error!("the writer failed unexpectedly");
            }
        }
    }
}

impl EmbeddedStore {
    /// Waits until the store has stopped for good. Returns why. The process must exit then.
    pub async fn stopped(&self) -> Arc<str> {
        let mut stopped = self.shared.watch();
        loop {
            if let Some(reason) = stopped.borrow_and_update().clone() {
                return reason;
            }
            if stopped.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns what the store takes on its disk. Asks the operating system, so not for every request.
    #[must_use]
    pub fn file_sizes(&self) -> FileSizes {
        files::sizes(&self.database)
    }

    /// Checks the whole database: SQLite's `integrity_check` and our own invariants. Returns what is wrong.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read at all.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.read(verify::verify).await
    }

    /// Performs an operation in the writer, and waits until it is durable.
    pub(super) async fn write<T, F>(&self, class: Class, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Now, 0, run).await
    }

    /// Performs an operation like [`write`](Self::write), in no haste: no caller waits for its result.
    pub(super) async fn write_soon<T, F>(&self, class: Class, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Soon, 0, run).await
    }

    /// Performs an operation like [`write`](Self::write), and counts these bytes as waiting until then.
    pub(super) async fn write_bytes<T, F>(&self, class: Class, bytes: usize, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Now, bytes, run).await
    }

    /// Sends an operation to the writer, and waits for the answer.
    async fn send<T, F>(&self, class: Class, haste: Haste, bytes: usize, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.shared.open()?;
        let (operation, answer) = Operation::new(class, haste, self.shared.hold(bytes)?, run);
        self.threads.jobs.try_send(Message::Job(Box::new(operation))).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => self.shared.gone(),
        })?;
        answer.await.unwrap_or_else(|_| Err(self.shared.gone()))
    }

    /// Runs a read on one of the reading connections.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        self.threads.readers.read(read).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.threads.close();
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn server_id(&self) -> ServerId {
        self.server_id
    }

    fn store_id(&self) -> StoreId {
        *self.store_id.lock()
    }

    fn durability(&self) -> &'static str {
        "fsync"
    }

    async fn after_restore(&self, store: StoreId) -> Result<AfterRestore, StoreError> {
        let ended = self.write(Class::Sweeping, move |tx| restore::after_restore(tx.db, store)).await?;
        *self.store_id.lock() = store;
        Ok(ended)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.shared.open()?;
        if self.space.enough() { Ok(()) } else { Err(StoreError::DiskFull) }
    }

    async fn close(&self) {
        let threads = Arc::clone(&self.threads);
        if tokio::task::spawn_blocking(move || threads.close()).await.is_err() {
            tracing::error!("closing the store failed unexpectedly");
        }
    }
}
