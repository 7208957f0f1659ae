//! The vault's files and folder belong to one user alone.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::VaultError;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// What SQLite keeps beside a file while it is open, or after a crash.
const JOURNALS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Makes the folder above `file` with mode 0700 if it is absent, and refuses a looser one.
pub(super) fn private_folder(file: &Path) -> Result<(), VaultError> {
    let Some(folder) = folder(file) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(|error| storage(&error))?;
    refuse_loose(folder, FOLDER_MODE)
}

/// Makes a file with mode 0600; one that is there already is an error.
pub(super) fn new_private_file(path: &Path) -> Result<(), VaultError> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(|_| ()).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists { VaultError::Exists } else { storage(&error) }
    })
}

/// Refuses a place where a vault is, or where the journal of a lost one is: SQLite would play it into the new file.
pub(super) fn refuse_remains(path: &Path) -> Result<(), VaultError> {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    if there(path) {
        return Err(VaultError::Exists);
    }
    if journals(path).any(|journal| there(&journal)) {
        return Err(VaultError::Damaged { what: "main file (only its journal is there)" });
    }
    Ok(())
}

/// Whether a journal holds what is not in the file yet.
pub(super) fn journal_waits(path: &Path) -> bool {
    journals(path).any(|journal| journal.metadata().is_ok_and(|metadata| metadata.len() > 0))
}

/// Removes what a crash left of a beginning.
pub(super) fn remove_with_journals(path: &Path) -> Result<(), VaultError> {
    for path in journals(path).chain([path.to_owned()]) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(storage(&error)),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a vault's file, folder or journal that others may use, and what is no file at all.
pub(super) fn refuse_loose_file(path: &Path) -> Result<(), VaultError> {
    if let Some(folder) = folder(path) {
        refuse_loose(folder, FOLDER_MODE)?;
    }
    if !fs::metadata(path).map_err(|error| storage(&error))?.is_file() {
        // Opening a pipe or a device could wait forever.
        return Err(VaultError::Damaged { what: "file" });
    }
    refuse_loose(path, FILE_MODE)?;
    journals(path).filter(|journal| journal.exists()).try_for_each(|journal| refuse_loose(&journal, FILE_MODE))
}

/// Makes a rename in this file's folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), VaultError> {
    let folder = folder(path).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| storage(&error))
}

pub(super) fn storage(error: &io::Error) -> VaultError {
    VaultError::Storage { reason: error.to_string() }
}

fn folder(file: &Path) -> Option<&Path> {
    file.parent().filter(|folder| !folder.as_os_str().is_empty())
}

fn journals(path: &Path) -> impl Iterator<Item = PathBuf> {
    JOURNALS.into_iter().map(move |suffix| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn refuse_loose(path: &Path, wanted: u32) -> Result<(), VaultError> {
    let mode = fs::metadata(path).map_err(|error| storage(&error))?.mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(VaultError::LooseMode { path: path.display().to_string(), wanted }) }
}
