//! Private files of the data folder: made 0600 in folders made 0700, replaced whole, refused when others may open them.

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
    /// Others may open it.
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

/// Makes the folder (and those above it) when it is missing; refuses one that others may open.
///
/// # Errors
/// [`FileError`]
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).recursive(true).create(path) {
        Ok(()) => refuse_loose(path, 0o700),
        Err(error) => Err(FileError::Io(path.to_owned(), error)),
    }
}

/// Refuses a file or folder that group or others have any right to.
///
/// # Errors
/// [`FileError`]
pub fn refuse_loose(path: &Path, wanted: u32) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(|error| FileError::Io(path.to_owned(), error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FileError::LooseMode { path: path.to_owned(), mode, wanted }) }
}

/// Replaces the file whole: a crash leaves the old contents or the new ones, never a part.
///
/// # Errors
/// [`FileError`]
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let unfinished = path.with_file_name(name);
    let write = || -> io::Result<()> {
        // One that a crash left behind may have another mode.
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
/// When it cannot be read.
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
