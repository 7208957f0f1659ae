//! The vault's files and folder belong to one user alone, and a crash leaves nothing that is taken for a vault.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::vault::error::VaultError;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// The endings of the files that SQLite keeps beside a database while it is open, or leaves after a crash.
const JOURNALS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Makes the folder above `file` with mode 0700 if it is absent, and refuses a looser mode.
pub(in crate::vault) fn private_folder(file: &Path) -> Result<(), VaultError> {
    let Some(folder) = folder(file) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(|error| storage(&error))?;
    refuse_loose(folder, FOLDER_MODE)
}

/// Makes a file with mode 0600; fails if it is there already.
pub(in crate::vault) fn new_private_file(path: &Path) -> Result<(), VaultError> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(|_| ()).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists { VaultError::Exists } else { storage(&error) }
    })
}

/// Refuses a path that is taken, or beside which the journal of a lost vault lies: SQLite would play it into the new file.
pub(in crate::vault) fn refuse_remains(path: &Path) -> Result<(), VaultError> {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    if there(path) {
        return Err(VaultError::Exists);
    }
    if journals(path).any(|journal| there(&journal)) {
        return Err(VaultError::Damaged { what: "main file (only its journal is there)" });
    }
    Ok(())
}

/// Returns whether a journal holds changes that are not in the file yet.
pub(in crate::vault) fn journal_waits(path: &Path) -> bool {
    journals(path).any(|journal| journal.metadata().is_ok_and(|metadata| metadata.len() > 0))
}

/// Removes what a crash left of a vault that was being made.
pub(in crate::vault) fn remove_with_journals(path: &Path) -> Result<(), VaultError> {
    for path in journals(path).chain([path.to_owned()]) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(storage(&error)),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a path that is no file, and a vault whose file, folder or journal other users may open.
pub(in crate::vault) fn refuse_loose_file(path: &Path) -> Result<(), VaultError> {
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

/// Syncs the folder of this file, so that a rename in it survives a power cut.
pub(in crate::vault) fn sync_folder(path: &Path) -> Result<(), VaultError> {
    let folder = folder(path).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| storage(&error))
}

/// Returns what an error of the system means.
pub(in crate::vault) fn storage(error: &io::Error) -> VaultError {
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
