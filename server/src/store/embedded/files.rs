//! The data folder: its files, their modes, the lock, and the free space.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::open_error::OpenError;
use crate::store::watch::FileSizes;

/// The database's name in the folder.
pub const DATABASE: &str = "sealpost.db";

/// A database that is being made. It is renamed when it is complete, so that an empty database file is always a damaged
/// one.
const UNFINISHED: &str = "sealpost.db.new";

/// What SQLite puts beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// A folder in the data folder that exists while a restore goes on. Nothing else may use the data folder then.
pub const RESTORING: &str = "restoring";

/// The lock file, held for the life of the process.
pub const LOCK: &str = "sealpost.lock";

/// Bytes of an SQLite header.
const HEADER_BYTES: usize = 100;

/// The folder of one store.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, making it if needed. Refuses one that other users may read.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).recursive(true).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        refuse_loose(path, 0o700)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Opens a folder that must exist.
    pub(super) fn existing(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { path: path.to_owned(), source };
        std::fs::metadata(path).map_err(failed)?;
        Self::open(path)
    }

    /// Returns whether a restore into the folder goes on or was interrupted.
    pub(super) fn is_restoring(&self) -> bool {
        self.path.join(RESTORING).exists()
    }

    /// Returns where the folder is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Returns where a database is while it is being made.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.path.join(UNFINISHED)
    }

    /// Takes the lock. It is released with the returned file, and when the process ends in any way.
    pub(super) fn lock(&self) -> Result<File, OpenError> {
        let path = self.path.join(LOCK);
        let failed = |source| OpenError::Folder { path: path.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { path: self.path.clone() }),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Returns the first bytes of the database; `None` if there is no database yet. Refuses loose modes of its files.
    pub(super) fn header(&self) -> Result<Option<Vec<u8>>, OpenError> {
        let path = self.database();
        let failed = |source| OpenError::Folder { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.companions(DATABASE).any(|path| path.exists()) {
                    Err(OpenError::Damaged { path, what: "the write-ahead log is there, but not the database" })
                } else {
                    Ok(None)
                };
            }
            Err(error) => return Err(failed(error)),
        };
        refuse_loose(&path, 0o600)?;
        for companion in self.companions(DATABASE).filter(|path| path.exists()) {
            refuse_loose(&companion, 0o600)?;
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        file.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(failed)?;
        Ok(Some(header))
    }

    /// Makes an empty file with mode 0600, in place of what an interrupted first start may have left.
    pub(super) fn begin(&self) -> io::Result<()> {
        for path in self.companions(UNFINISHED).chain([self.unfinished()]) {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.unfinished()).map(drop)
    }

    /// Gives the complete database its name, durably.
    pub(super) fn finish(&self) -> io::Result<()> {
        File::open(self.unfinished())?.sync_all()?;
        std::fs::rename(self.unfinished(), self.database())?;
        self.sync()
    }

    /// Makes the names in the folder durable. SQLite does so too for a log that it makes, but ignores errors.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Returns where the companions of a database with this name are.
    fn companions(&self, name: &'static str) -> impl Iterator<Item = PathBuf> + '_ {
        COMPANIONS.iter().map(move |companion| self.path.join(format!("{name}{companion}")))
    }
}

/// Refuses a file or folder that group or others may open.
fn refuse_loose(path: &Path, wanted: u32) -> Result<(), OpenError> {
    let metadata = std::fs::metadata(path).map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(OpenError::LooseMode { path: path.to_owned(), mode, wanted }) }
}

/// Holds an existing data folder as an open store does, until the returned file is dropped.
///
/// # Errors
/// [`OpenError`], above all [`Locked`](OpenError::Locked).
pub fn lock_folder(path: &Path) -> Result<File, OpenError> {
    Folder::existing(path)?.lock()
}

/// Makes a data folder if there is none, and holds it as an open store does, until the returned file is dropped. For a
/// server whose database is elsewhere.
///
/// # Errors
/// [`OpenError`], above all [`Locked`](OpenError::Locked).
pub fn hold_folder(path: &Path) -> Result<File, OpenError> {
    Folder::open(path)?.lock()
}

/// Returns the bytes that this process may still write below `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Returns what a database takes on its disk; 0 where the operating system does not say.
pub(super) fn sizes(database: &Path) -> FileSizes {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let folder = database.parent().unwrap_or(database);
    FileSizes { database: size(database), log: size(&log(database)), free: free_bytes(folder).unwrap_or(0) }
}

/// Returns where the write-ahead log of a database is.
pub(super) fn log(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}
