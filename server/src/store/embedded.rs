//! The embedded store: SQLite, one file in one folder, one process.
//!
//! One thread writes, with group commit; a few read-only connections read; a third kind of thread writes the log back.
//! An operation is answered when it is durable (`synchronous = FULL` on a write-ahead log). A write that may not have
//! become durable ends the store for good ([`EmbeddedStore::stopped`]): the process must exit and start again, so that what
//! is on the disk is what counts.
//!
//! Deleted rows are overwritten (`secure_delete`), because a delivered ciphertext must not be found in a copied file. The
//! write-ahead log still holds the newest ones for a while.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use sealpost_api::ids::{ServerId, StoreId};

pub use self::backup::{BackupError, Copied, copy_database};
use self::checkpoint::Checkpoints;
use self::error::DbError;
use self::files::Folder;
pub use self::files::{DATABASE, LOCK, RESTORING};
use self::job::{Class, Haste, Operation};
use self::readers::Readers;
use self::shared::Shared;
use self::space::Space;
pub use self::space::{DiskSpace, FreeSpace};
pub use self::transfer::EmbeddedTransfer;
pub use self::verify::{Report, TableReport, inspect};
pub use self::watch::{FileSizes, NoObserver, StoreObserver};
use self::writer::{Message, Tx};
use crate::base::config::RESERVE_BYTES;
use crate::store::{AfterRestore, SchemaStatus, Store, StoreError};

mod accept;
mod accounts;
mod admin;
mod backup;
mod cache;
mod checkpoint;
mod connection;
mod devices;
mod durable;
mod error;
mod expiry;
mod files;
mod job;
mod migrations;
mod nodes;
mod notices;
mod prekeys;
mod queue;
mod readers;
mod restore;
mod rows;
mod sessions;
mod shared;
mod space;
mod transfer;
mod verify;
mod watch;
mod writer;

/// How to run the store.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Free bytes below which nothing is accepted any more (acks and deletions still are).
    pub reserve_bytes: u64,
    /// Page cache of the writer, in bytes; each reader has a quarter of it.
    pub cache_bytes: u64,
    /// Reading threads.
    pub readers: usize,
    /// Most pages (4,096 bytes) that the database may have; beyond, [`StoreError::DiskFull`].
    pub pages_max: Option<u32>,
    /// Who is asked for free space.
    pub free_space: Arc<dyn FreeSpace>,
    /// Whether a file system that may lose what it was told to keep is taken all the same, with a warning.
    pub allow_unsafe_filesystem: bool,
    /// Never waits for the disk, so that a power cut loses what was accepted. Only for showing that a test would notice;
    /// the program has no way to set it.
    pub never_sync: bool,
    /// Who is told how long commits take.
    pub observer: Arc<dyn StoreObserver>,
}

impl std::fmt::Debug for EmbeddedOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EmbeddedOptions")
            .field("reserve_bytes", &self.reserve_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("readers", &self.readers)
            .field("pages_max", &self.pages_max)
            .field("allow_unsafe_filesystem", &self.allow_unsafe_filesystem)
            .field("never_sync", &self.never_sync)
            .finish_non_exhaustive()
    }
}

impl Default for EmbeddedOptions {
    /// A reserve of 128 MiB (twice the largest log), a cache of 16 MiB, two readers.
    fn default() -> Self {
        Self {
            reserve_bytes: RESERVE_BYTES,
            cache_bytes: 16 * 1024 * 1024,
            readers: 2,
            pages_max: None,
            free_space: Arc::new(DiskSpace),
            allow_unsafe_filesystem: false,
            never_sync: false,
            observer: Arc::new(NoObserver),
        }
    }
}

/// Why a folder could not be opened as a store. Nothing in it was changed, but for files that were missing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("cannot use {}", path.display())]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others on this machine may open it.
    #[error("{} can be opened by other users (mode {mode:03o}); run: chmod {wanted:03o} {}", path.display(), path.display())]
    LooseMode {
        /// Which file or folder.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// A move into it has begun and not finished.
    #[error("a move into {} has not finished; run the same `sealpost-server move` again, or delete {}/moving", path.display(), path.display())]
    Moving {
        /// The folder.
        path: PathBuf,
    },
    /// What it holds has gone elsewhere.
    #[error(
        "what was here was moved to another store; start the server with --store, as that one. To go on from here all the same, \
         without what was sent there since, delete {}",
        note.display()
    )]
    Moved {
        /// The file that says so.
        note: PathBuf,
    },
    /// Another process has it open.
    #[error("another process uses the data folder {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// It is on a network file system, or one that a program serves.
    #[error(
        "{} is on {kind}, which may lose what was accepted; use a local disk, or set allow_unsafe_filesystem = true \
         under [store] if this one keeps what fsync promises",
        path.display()
    )]
    UnsafeFileSystem {
        /// The folder.
        path: PathBuf,
        /// What it is on.
        kind: &'static str,
    },
    /// What is written here would not survive a power cut.
    #[error("the store would not be durable: {0}")]
    NotDurable(&'static str),
    /// The database is damaged, or none of ours.
    #[error(
        "{} cannot be used: {what}. `sealpost-server verify` says what of it can still be read, \
         `sealpost-server restore --replace` goes back to a backup", path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A restore into this folder was interrupted.
    #[error("a restore into {} was interrupted; run `sealpost-server restore --replace` again", path.display())]
    Restoring {
        /// The folder.
        path: PathBuf,
    },
    /// The database was written by a newer program.
    #[error("the database has version {found}, and this program knows versions up to {known}; use a newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// The database refused.
    #[error("the database could not be opened")]
    Database(#[from] rusqlite::Error),
    /// No thread could be started.
    #[error("a thread of the store could not be started")]
    Thread(#[source] std::io::Error),
}

/// The open store. Dropping it closes it, and waits until its files are closed.
pub struct EmbeddedStore {
    threads: Arc<Threads>,
    shared: Arc<Shared>,
    space: Space,
    database: PathBuf,
    server_id: ServerId,
    store_id: Mutex<StoreId>,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EmbeddedStore").field("store_id", &*self.store_id.lock()).finish_non_exhaustive()
    }
}

/// The threads that hold the files.
struct Threads {
    jobs: SyncSender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    shared: Arc<Shared>,
}

impl Threads {
    /// Ends them, and waits for that. The readers go first, so that the writer closes the last connection.
    fn close(&self) {
        self.shared.begin_close();
        self.readers.close();
        // Held until it has ended: a second call returns no earlier than the first.
        let mut writer = self.writer.lock();
        if let Some(writer) = writer.take() {
            // It may have ended already, and then nobody listens.
            drop(self.jobs.send(Message::Close));
            if writer.join().is_err() {
                tracing::error!("the writer failed unexpectedly");
            }
        }
    }
}

impl EmbeddedStore {
    /// Opens the folder, and makes it with its database when it is new: then the ids of server and store are drawn from
    /// `random` (32 bytes). Applies what is missing of the schema.
    ///
    /// # Errors
    /// [`OpenError`], whose text is meant for the person who started the program.
    pub fn open(path: &Path, options: &EmbeddedOptions, random: &[u8; 32]) -> Result<Self, OpenError> {
        durable::refuse_eatmydata()?;
        let folder = Folder::open(path)?;
        durable::refuse_file_system(path, options.allow_unsafe_filesystem)?;
        let lock = folder.lock()?;
        if folder.is_restoring() {
            return Err(OpenError::Restoring { path: path.to_owned() });
        }
        transfer::refuse_moved(&folder)?;
        Self::open_locked(&folder, lock, options, random).map_err(|error| error.or_damaged(&folder))
    }

    fn open_locked(
        folder: &Folder,
        lock: std::fs::File,
        options: &EmbeddedOptions,
        random: &[u8; 32],
    ) -> Result<Self, OpenError> {
        match folder.header()? {
            Some(header) => drop(migrations::check_header(folder, &header)?),
            None => create(folder, random)?,
        }
        let mut connection = connection::open_writer(&folder.database(), options.cache_bytes, options.never_sync)?;
        verify::at_start(&connection, &folder.database())?;
        migrations::apply(&mut connection)?;
        // A server that was killed may have left what it erased in the log. Where a reader is in the way, the
        // writer tries again.
        let forgotten = checkpoint::truncate(&connection).map_err(|error| match error {
            DbError::Sqlite(error) => OpenError::Database(error),
            DbError::Answer(_) | DbError::Corrupt(_) => OpenError::NotDurable("the log could not be written back"),
        })?;
        folder.sync().map_err(|source| OpenError::Folder { path: folder.path().to_owned(), source })?;
        if let Some(pages) = options.pages_max {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        let server_id = ServerId::from_bytes(migrations::meta(&connection, "server_id")?);
        let store_id = StoreId::from_bytes(migrations::meta(&connection, "store_id")?);
        let shared = Arc::new(Shared::new(Arc::clone(&options.observer)));
        let readers =
            Readers::spawn(&folder.database(), options.readers, options.cache_bytes / 4, Arc::clone(&shared))?;
        let checkpointer = connection::open_writer(&folder.database(), options.cache_bytes / 16, options.never_sync)?;
        let checkpoints = Checkpoints::spawn(checkpointer, Arc::clone(&shared)).map_err(OpenError::Thread)?;
        let space = Space::new(folder.path(), options.reserve_bytes, Arc::clone(&options.free_space));
        let (jobs, writer) =
            writer::spawn(connection, space.clone(), checkpoints, Arc::clone(&shared), lock, !forgotten)
                .map_err(OpenError::Thread)?;
        let threads = Threads { jobs, writer: Mutex::new(Some(writer)), readers, shared: Arc::clone(&shared) };
        let store_id = Mutex::new(store_id);
        Ok(Self { threads: Arc::new(threads), shared, space, database: folder.database(), server_id, store_id })
    }

    /// The schema's version in a folder, without opening it as a store.
    ///
    /// # Errors
    /// [`OpenError`] when the folder or its database cannot be used.
    pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
        let folder = Folder::open(path)?;
        let current = match folder.header()? {
            Some(header) => {
                migrations::check_header(&folder, &header)?;
                migrations::version(&connection::open_reader(&folder.database(), 1024 * 1024)?)?
            }
            None => 0,
        };
        Ok(SchemaStatus { current, newest: migrations::newest(), missing: migrations::missing(current) })
    }

    /// Waits until the store has stopped for good, and says why. The process must exit then.
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

    /// What the store takes on its disk. Asks the operating system: not for every request.
    #[must_use]
    pub fn file_sizes(&self) -> FileSizes {
        FileSizes::of(self.database.parent().unwrap_or(&self.database), &self.database)
    }

    /// Checks the whole database: SQLite's `integrity_check` and our own invariants. Empty when all is well.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read at all.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.read(verify::verify).await
    }

    async fn write<T, F>(&self, class: Class, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Now, 0, run).await
    }

    /// As [`write`](Self::write), for what nobody waits for.
    async fn write_soon<T, F>(&self, class: Class, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Soon, 0, run).await
    }

    async fn write_bytes<T, F>(&self, class: Class, bytes: usize, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.send(class, Haste::Now, bytes, run).await
    }

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

    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
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

/// Holds a data folder as an open store does, until the file is dropped.
///
/// # Errors
/// [`OpenError`], [`Locked`](OpenError::Locked) above all.
pub fn lock_folder(path: &Path) -> Result<std::fs::File, OpenError> {
    Folder::existing(path)?.lock()
}

/// Makes a data folder where there is none, and holds it as an open store does, until the file is dropped: for a server whose
/// database is elsewhere.
///
/// # Errors
/// [`OpenError`], [`Locked`](OpenError::Locked) above all.
pub fn hold_folder(path: &Path) -> Result<std::fs::File, OpenError> {
    Folder::open(path)?.lock()
}

/// Makes the database under another name, and gives it its own when it is whole.
fn create(folder: &Folder, random: &[u8; 32]) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder { path: folder.unfinished(), source };
    folder.begin().map_err(failed)?;
    let mut connection = connection::open_writer(&folder.unfinished(), 1024 * 1024, false)?;
    migrations::apply(&mut connection)?;
    if let ([server, store], []) = random.as_chunks::<16>() {
        migrations::set_meta(&connection, "server_id", server)?;
        migrations::set_meta(&connection, "store_id", store)?;
    }
    connection.close().map_err(|(_, error)| error)?;
    folder.finish().map_err(failed)
}
