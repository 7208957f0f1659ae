//! One profile's folder: where its files are, and which process may use it now.
//!
//! One process owns a profile. It holds an exclusive `flock` on a lock file, which the system releases when the process
//! ends in any way, so that there is no stale lock to clean up.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Exit, Failure};
use crate::files;

/// A socket's path must fit `sockaddr_un` (108 bytes on Linux, 104 elsewhere, with the final zero).
const SOCKET_PATH_MAX_BYTES: usize = 100;
/// The longest profile name, in bytes: a file name, with room.
const NAME_MAX_BYTES: usize = 64;

/// A profile's folder.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    folder: PathBuf,
}

/// The right to use a profile's vault. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ProfileLock {
    _file: File,
}

impl Profile {
    /// Returns the profile of this name. Nothing is made or opened yet.
    pub(crate) fn new(data: Option<&Path>, name: &str) -> Result<Self, Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_MAX_BYTES || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(Failure::new(
                Exit::Usage,
                "profile_name",
                "a profile's name has 1 to 64 letters, digits, '-', '_' or '.', and does not start with '.'",
            ));
        }
        let data = match data {
            Some(data) => data.to_owned(),
            None => directories::ProjectDirs::from("", "", "sealpost")
                .map(|folders| folders.data_dir().to_owned())
                .ok_or_else(|| {
                    Failure::new(Exit::Failed, "no_home", "this user has no home folder")
                        .hint("Say where to keep profiles: --data DIR")
                })?,
        };
        let data = std::path::absolute(&data).map_err(|error| Failure::io("cannot find the data folder", &error))?;
        Ok(Self { folder: data.join(name) })
    }

    /// Returns the vault's path.
    pub(crate) fn vault(&self) -> PathBuf {
        self.folder.join("vault.db")
    }

    /// Returns the label under which the key ring keeps the vault's key.
    pub(crate) fn label(&self) -> String {
        format!("Sealpost profile {}", self.folder.display())
    }

    /// Returns whether a registration or a login ever began here.
    pub(crate) fn exists(&self) -> bool {
        self.vault().exists()
    }

    /// Makes the folders for their owner alone, if they are absent.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        if let Some(data) = self.folder.parent() {
            files::private_folder(data)?;
        }
        files::private_folder(&self.folder)
    }

    /// Takes the lock. Returns `None` if another process has it.
    pub(crate) fn try_lock(&self) -> Result<Option<ProfileLock>, Failure> {
        let file = files::private_file(&self.folder.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(ProfileLock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Failure::io("cannot lock the profile", &io::Error::from(error))),
        }
    }

    /// Returns the path at which an owner that serves others listens: in the folder, or where a note in the folder says,
    /// when that path is too long for a socket.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        let direct = self.folder.join("socket");
        if direct.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
            return Some(direct);
        }
        let noted = fs::read(self.note()).ok()?;
        (noted.len() <= SOCKET_PATH_MAX_BYTES && noted.first() == Some(&b'/'))
            .then(|| PathBuf::from(OsStr::from_bytes(&noted)))
    }

    /// Chooses a path to listen at, and notes it if it is not in the folder. Only the owner may call this.
    pub(crate) fn new_socket(&self) -> Result<PathBuf, Failure> {
        let direct = self.folder.join("socket");
        if direct.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
            return Ok(direct);
        }
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = runtime
            .filter(|folder| {
                folder.is_absolute() && folder.as_os_str().len() < SOCKET_PATH_MAX_BYTES - 40 && folder.is_dir()
            })
            .unwrap_or_else(|| PathBuf::from("/tmp"));
        // The folder is made, not taken: an existing one could be another user's.
        let folder = base.join(format!("sealpost-{:016x}", rand::random::<u64>()));
        std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
            .create(&folder)
            .map_err(|error| Failure::io("cannot make a folder for the profile's socket", &error))?;
        let path = folder.join("socket");
        let note = self.note();
        let _ = fs::remove_file(&note);
        io::Write::write_all(&mut files::new_private_file(&note)?, path.as_os_str().as_bytes())
            .map_err(|error| Failure::io("cannot note the socket's path", &error))?;
        Ok(path)
    }

    fn note(&self) -> PathBuf {
        self.folder.join("socket.path")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_leave_the_data_folder() {
        for name in ["", ".", "..", "a/b", "../x", ".hidden", "a\0b", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(Profile::new(Some(Path::new("/d")), name).unwrap_err().code, "profile_name", "{name:?}");
        }
        assert_eq!(Profile::new(Some(Path::new("/d")), "work.1").unwrap().vault(), Path::new("/d/work.1/vault.db"));
    }

    #[test]
    fn a_profile_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new(Some(&folder.path().join("data")), "p").unwrap();
        profile.prepare().unwrap();
        let lock = profile.try_lock().unwrap();
        assert!(lock.is_some());
        assert!(profile.try_lock().unwrap().is_none());
        drop(lock);
        assert!(profile.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_long_path_gets_a_short_socket_that_others_find() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("d".repeat(120));
        let profile = Profile::new(Some(&data), "p").unwrap();
        profile.prepare().unwrap();
        assert_eq!(profile.socket(), None);
        let path = profile.new_socket().unwrap();
        assert!(path.as_os_str().len() <= SOCKET_PATH_MAX_BYTES);
        assert_eq!(profile.socket(), Some(path.clone()));
        fs::remove_dir(path.parent().unwrap()).unwrap();
    }
}
