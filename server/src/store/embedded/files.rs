//! The store's folder: modes, the lock, and the free space below it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::OpenError;

/// The database's name in the folder.
pub const DATABASE: &str = "sealpost.db";
/// A database that is being made; renamed when it is whole, so that an empty file is always a damaged one.
const UNFINISHED: &str = "sealpost.db.new";
/// What SQLite puts beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];
/// A folder inside of the data folder that is there while a restore is under way: nothing else may use the folder then.
pub const RESTORING: &str = "restoring";
/// Held for the life of the process.
pub const LOCK: &str = "sealpost.lock";
/// Bytes of an SQLite header.
const HEADER_BYTES: usize = 100;

/// Where the files of one store are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder if it is not there, and refuses one that others may read.
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

    /// The same, but a folder that is not there is refused.
    pub(super) fn existing(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { path: path.to_owned(), source };
        std::fs::metadata(path).map_err(failed)?;
        Self::open(path)
    }

    /// Whether a restore into it was interrupted, or is under way.
    pub(super) fn is_restoring(&self) -> bool {
        self.path.join(RESTORING).exists()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(super) fn unfinished(&self) -> PathBuf {
        self.path.join(UNFINISHED)
    }

    /// Takes the lock. It ends with the returned file, and with the process however that ends.
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

    /// The first bytes of the database, or `None` when there is none yet. Refuses loose modes on it and its companions.
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

    /// An empty file, mode 0600, in place of what an interrupted first start may have left.
    pub(super) fn begin(&self) -> io::Result<()> {
        for path in self.companions(UNFINISHED).chain([self.unfinished()]) {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.unfinished()).map(drop)
    }

    /// Gives the finished database its name, durably.
    pub(super) fn finish(&self) -> io::Result<()> {
        File::open(self.unfinished())?.sync_all()?;
        std::fs::rename(self.unfinished(), self.database())?;
        self.sync()
    }

    /// Makes the names in the folder durable. SQLite does that too for a log that it makes, but takes no notice of an error.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn companions(&self, name: &'static str) -> impl Iterator<Item = PathBuf> + '_ {
        COMPANIONS.iter().map(move |companion| self.path.join(format!("{name}{companion}")))
    }
}

/// Refuses what group or others may open.
fn refuse_loose(path: &Path, wanted: u32) -> Result<(), OpenError> {
    let metadata = std::fs::metadata(path).map_err(|source| OpenError::Folder { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(OpenError::LooseMode { path: path.to_owned(), mode, wanted }) }
}

/// Bytes that this process may still write below `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}
