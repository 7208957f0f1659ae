//! Files and folders that only their owner may read: created 0600 and 0700, and refused when an existing one has a
//! looser mode.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// The longest secret file: far above the longest password, so that a wrong path (a device, a film) costs nothing.
const SECRET_MAX_BYTES: u64 = 16 * 1024;

/// Makes the folder with mode 0700 if it is absent, and its parents; refuses one that others may enter.
pub(crate) fn private_folder(path: &Path) -> Result<(), Failure> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) => return Err(Failure::io(&format!("cannot make the folder {}", path.display()), &error)),
    }
    refuse_loose(path, "chmod 700")
}

/// Opens, or makes with mode 0600, a file for reading and writing; refuses one that others may use.
pub(crate) fn private_file(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::io(&format!("cannot open {}", path.display()), &error))?;
    refuse_loose(path, "chmod 600")?;
    Ok(file)
}

/// Makes a new file with mode 0600; an existing one is left alone and is an error.
pub(crate) fn new_private_file(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let failure = Failure::io(&format!("cannot make {}", path.display()), &error);
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.hint("Nothing was overwritten. Name a file that does not exist.")
        } else {
            failure
        }
    })
}

/// Refuses a path whose mode lets the group or others in.
pub(crate) fn refuse_loose(path: &Path, remedy: &str) -> Result<(), Failure> {
    let mode = path
        .metadata()
        .map_err(|error| Failure::io(&format!("cannot look at {}", path.display()), &error))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Vault,
        "loose_mode",
        format!("{} has mode {mode:03o}: other users of this machine may use it", path.display()),
    )
    .hint(format!("Unless somebody had a reason to change it: {remedy} '{}'", path.display())))
}

/// Reads a secret from a file, or from standard input for `-`. One line ending at the end is not part of it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    let outcome = if path == Path::new("-") {
        io::stdin().lock().take(SECRET_MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(SECRET_MAX_BYTES + 1).read_to_string(&mut text))
    };
    outcome.map_err(|error| Failure::io(&format!("cannot read the secret in {}", path.display()), &error))?;
    if text.len() as u64 > SECRET_MAX_BYTES {
        return Err(Failure::new(
            Exit::Usage,
            "secret_too_long",
            format!("{} is too long for a secret", path.display()),
        ));
    }
    let trimmed = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(trimmed.unwrap_or(&text).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_made_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        private_file(&inner.join("f")).unwrap();
        assert_eq!(mode(&inner.join("f")), 0o600);
        new_private_file(&inner.join("g")).unwrap();
        assert_eq!(mode(&inner.join("g")), 0o600);
    }

    #[test]
    fn looser_modes_on_existing_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        private_file(&file).unwrap();
        for loose in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&file, Permissions::from_mode(loose)).unwrap();
            assert_eq!(private_file(&file).unwrap_err().code, "loose_mode");
        }
        let inner = folder.path().join("d");
        fs::create_dir(&inner).unwrap();
        for loose in [0o750, 0o701, 0o755] {
            fs::set_permissions(&inner, Permissions::from_mode(loose)).unwrap();
            assert_eq!(private_folder(&inner).unwrap_err().code, "loose_mode");
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten_by_an_export() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "kept").unwrap();
        assert!(new_private_file(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }

    #[test]
    fn a_secret_loses_one_line_ending_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (stored, read) in [("pa ss\n", "pa ss"), ("pa\r\n", "pa"), (" pa \n\n", " pa \n"), ("pa", "pa"), ("", "")] {
            fs::write(&path, stored).unwrap();
            assert_eq!(*read_secret(&path).unwrap(), read);
        }
    }

    #[test]
    fn an_endless_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        File::create(&path).unwrap().write_all(&vec![b'a'; 20_000]).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().code, "secret_too_long");
    }
}
