//! The vault's file and folder belong to one user alone.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::VaultError;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Makes the folder above `file` with mode 0700 if it is absent, and refuses a looser one.
pub(super) fn private_folder(file: &Path) -> Result<(), VaultError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(|error| storage(&error))?;
    refuse_loose(folder, FOLDER_MODE)
}

/// Makes a file with mode 0600; one that is there already is an error.
pub(super) fn new_private_file(path: &Path) -> Result<(), VaultError> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(|_| ()).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists { VaultError::Exists } else { storage(&error) }
    })
}

/// Refuses a file, or its folder, that others may use.
pub(super) fn refuse_loose_file(path: &Path) -> Result<(), VaultError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        refuse_loose(folder, FOLDER_MODE)?;
    }
    refuse_loose(path, FILE_MODE)
}

/// Makes a rename in this file's folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), VaultError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| storage(&error))
}

pub(super) fn storage(error: &io::Error) -> VaultError {
    VaultError::Storage { reason: error.to_string() }
}

fn refuse_loose(path: &Path, wanted: u32) -> Result<(), VaultError> {
    let mode = fs::metadata(path).map_err(|error| storage(&error))?.mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(VaultError::LooseMode { path: path.display().to_string(), wanted }) }
}
