//! Opening a data folder as a store.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sealpost_api::ids::{ServerId, StoreId};

use super::error::DbError;
use super::files::Folder;
use super::open_error::OpenError;
use super::options::EmbeddedOptions;
use super::space::Space;
use super::store::{EmbeddedStore, Threads};
use super::threads::checkpoint::{self, Checkpoints};
use super::threads::readers::Readers;
use super::threads::shared::Shared;
use super::threads::writer;
use super::{connection, durable, migrations, moved, verify};
use crate::store::schema::SchemaStatus;

/// Page cache for reading the version, in bytes.
const CACHE_BYTES: u64 = 1024 * 1024;

impl EmbeddedStore {
    /// Opens the folder, making it and its database if they are new; then the ids of server and store are drawn from
    /// `random` (32 bytes). Applies the versions of the schema that are missing.
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
        moved::refuse_moved(&folder)?;
        Self::open_locked(&folder, lock, options, random).map_err(|error| error.or_damaged(&folder.database()))
    }

    /// Opens the folder while its lock is held.
    fn open_locked(
        folder: &Folder,
        lock: std::fs::File,
        options: &EmbeddedOptions,
        random: &[u8; 32],
    ) -> Result<Self, OpenError> {
        match folder.header()? {
            Some(header) => migrations::check_header(&folder.database(), &header)?,
            None => create(folder, random)?,
        }
        let mut connection = connection::open_writer(&folder.database(), options.cache_bytes, options.never_sync)?;
        verify::at_start(&connection, &folder.database())?;
        migrations::apply(&mut connection)?;
        // A server that was killed may have left erased data in the log. If a reader is in the way, the writer tries again.
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

    /// Returns the schema's version in a folder, without opening it as a store.
    ///
    /// # Errors
    /// [`OpenError`] if the folder or its database cannot be used.
    pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
        let folder = Folder::open(path)?;
        let current = match folder.header()? {
            Some(header) => {
                migrations::check_header(&folder.database(), &header)?;
                migrations::version(&connection::open_reader(&folder.database(), CACHE_BYTES)?)?
            }
            None => 0,
        };
        Ok(SchemaStatus { current, newest: migrations::newest(), missing: migrations::missing(current) })
    }
}

/// Makes the database under another name, and renames it when it is complete.
fn create(folder: &Folder, random: &[u8; 32]) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder { path: folder.unfinished(), source };
    folder.begin().map_err(failed)?;
    let mut connection = connection::open_writer(&folder.unfinished(), CACHE_BYTES, false)?;
    migrations::apply(&mut connection)?;
    if let ([server, store], []) = random.as_chunks::<16>() {
        migrations::set_meta(&connection, "server_id", server)?;
        migrations::set_meta(&connection, "store_id", store)?;
    }
    connection.close().map_err(|(_, error)| error)?;
    folder.finish().map_err(failed)
}
