//! Files of a data folder and of a backup, copied durably and readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The bytes that are read at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// The folder of the certificate authority, in the data folder and in a backup.
const TLS: &str = "tls";
/// The key of retired names. Without it the names of deleted accounts would be free again, and no server starts.
pub(super) const RETIRED_NAMES_KEY: &str = "retired_names.key";
/// The files of a data folder besides its database that cannot be made again: the key above, and the authority, which
/// clients have pinned. The keys of access tokens are not among them, because a restore draws new ones. Nor is the
/// pepper, which a thief of a backup must not have.
const KEPT: [&str; 3] = [RETIRED_NAMES_KEY, "tls/ca.pem", "tls/ca.key"];

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Its path in the backup.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Its SHA-256 in hex.
    pub(super) sha256: String,
}

/// Returns the names of [`KEPT`] that a folder has.
pub(super) fn kept(folder: &Path) -> impl Iterator<Item = &'static str> + '_ {
    KEPT.into_iter().filter(|name| folder.join(name).exists())
}

/// Returns whether a name stays inside the folder that it is joined to.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|component| matches!(component, Component::Normal(_)))
}

/// Computes the present size and hash of a file.
pub(super) fn entry(folder: &Path, name: &str) -> Result<Entry> {
    let path = folder.join(name);
    let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk).with_context(|| format!("cannot read {}", path.display()))?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(Entry { name: name.to_owned(), bytes, sha256: hex::encode(hash.finalize()) })
}

/// Copies a file into a folder that has no file of this name. The copy is durable when this returns, except for the
/// folder's entry.
pub(super) fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    let (source, target) = (from.join(name), to.join(name));
    if let Some(folder) = target.parent() {
        crate::base::files::private_folder(folder)?;
    }
    let run = || -> io::Result<()> {
        let mut reader = File::open(&source)?;
        let mut writer = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&target)?;
        io::copy(&mut reader, &mut writer)?;
        writer.flush()?;
        writer.sync_all()
    };
    run().with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))
}

/// Makes the entries of a folder durable, and those of its `tls`.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    let sync = |path: &Path| {
        File::open(path).and_then(|file| file.sync_all()).with_context(|| format!("cannot sync {}", path.display()))
    };
    let tls = folder.join(TLS);
    if tls.is_dir() {
        sync(&tls)?;
    }
    sync(folder)
}

/// Makes the entries of the folder that contains `path` durable.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Creates a folder in place of one that an earlier run left, and locks it until the returned file is dropped. It fails
/// if another run still has the lock.
pub(super) fn begin_folder(path: &Path) -> Result<File> {
    let hold = || -> Result<File> {
        let folder = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(folder),
            Err(rustix::io::Errno::WOULDBLOCK) => bail!("another backup is being made in {}", path.display()),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    };
    let left = if path.exists() { Some(hold()?) } else { None };
    remove_folder(path)?;
    drop(left);
    crate::base::files::private_folder(path)?;
    hold()
}

/// Removes a folder that an earlier run left.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_cannot_name_files_outside_of_itself() {
        for name in ["", "/etc/passwd", "..", "../a", "tls/../../a", "./a"] {
            assert!(!is_inside(name), "{name}");
        }
        assert!(is_inside("sealpost.db") && is_inside("tls/ca.key"));
    }
}
