//! Private files of the data folder: created with mode 0600 in folders with mode 0700, replaced atomically, and refused
//! if others can open them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a private file cannot be used. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot use {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Others can open the file or folder.
    #[error("{} can be opened by other users (mode {mode:03o}); run: chmod {wanted:03o} {}", path.display(), path.display())]
    LooseMode {
        /// The file or folder.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
}

/// Creates the folder and its parents if they are missing. Refuses a folder that others can open.
///
/// # Errors
/// [`FileError`] if the folder cannot be created or has a looser mode.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).recursive(true).create(path) {
        Ok(()) => refuse_loose(path, 0o700),
        Err(error) => Err(FileError::Io(path.to_owned(), error)),
    }
}

/// Refuses a file or folder that group or others have any right to.
///
/// # Errors
/// [`FileError`] if group or others have any right to it.
pub fn refuse_loose(path: &Path, wanted: u32) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(|error| FileError::Io(path.to_owned(), error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FileError::LooseMode { path: path.to_owned(), mode, wanted }) }
}

/// Replaces the file atomically: after a crash it has the old contents or the new ones, never a part.
///
/// # Errors
/// [`FileError`] if the file cannot be written.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let unfinished = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // A file left behind by a crash can have another mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&unfinished)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(|error| FileError::Io(path.to_owned(), error))
}

/// Reads a text file. Returns `None` if it is larger than `most` bytes.
///
/// # Errors
/// An error if the file cannot be read.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Option<String>> {
    if fs::metadata(path)?.len() > most { Ok(None) } else { fs::read_to_string(path).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join("key.new"), "left by a crash").unwrap();
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        refuse_loose(&path, 0o600).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn looser_modes_are_refused_by_name_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        private_folder(&path).unwrap();
        for mode in [0o750, 0o701, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let text = private_folder(&path).unwrap_err().to_string();
            assert!(text.contains("chmod 700"), "{text}");
        }
    }
}
