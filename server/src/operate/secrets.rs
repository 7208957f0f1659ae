//! The server's own secrets: files of one folder with mode 0600, created at the first start. Many nodes share them, but
//! never through the database, because a thief of it must not be able to sign tokens or look up retired names.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

use crate::base::files::{FileError, private_folder, refuse_loose, replace};
use crate::domain::clock::Random;
use crate::service::RetiredNamesKey;
use crate::service::tokens::TokenKey;

mod agreed;
mod args;
mod command;
mod token_keys;

pub(crate) use agreed::{AgreeError, Fingerprint};
pub use args::{SecretsArgs, SecretsCommand};
pub use command::run;
use token_keys::TokenKeys;

const TOKEN_KEYS: &str = "token_keys.json";
const RETIRED_NAMES_KEY: &str = "retired_names.key";
/// Locked while files are created, so that only one of several nodes that start on a shared folder creates them.
const MAKING: &str = "making.lock";
/// Exists until the first start has told the operator everything, so that a crash does not lose the first invite.
const FIRST_START: &str = "first_start";
/// The longest pepper. A longer file is a mistake.
const PEPPER_MAX_BYTES: usize = 1024;
/// The shortest pepper. A shorter one could be guessed.
const PEPPER_MIN_BYTES: usize = 16;

/// Why the secrets cannot be used. The texts are for the operator and name no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is damaged.
    #[error("{} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// A file that is created only once is missing.
    #[error("{} is gone; without it the names of deleted accounts would be free again; restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// The folder cannot be locked.
    #[error("cannot lock {}", .0.display())]
    Lock(PathBuf, #[source] std::io::Error),
    /// A new key is already waiting.
    #[error("a new key waits already: once every node has reloaded it, run `sealpost-server secrets use-key`")]
    Waiting,
    /// No new key is waiting.
    #[error("no new key waits: `sealpost-server secrets add-key` makes one")]
    NoneWaits,
    /// The text is not a fingerprint.
    #[error(
        "a fingerprint has 64 hexadecimal digits; `serve` names it when it refuses, and `secrets show` shows those of the keys here"
    )]
    Fingerprint,
    /// A secret differs from that of the other nodes of this store.
    #[error(transparent)]
    Disagreed(#[from] agreed::Disagreed),
    /// The pepper has a wrong length.
    #[error("{} must hold 16 to 1,024 bytes", .0.display())]
    PepperLength(PathBuf),
}

/// The folders of the secrets.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder with the keys.
    pub(crate) folder: PathBuf,
    /// The data folder, which only this node has.
    pub(crate) data: PathBuf,
    pub(crate) pepper: Option<PathBuf>,
}

/// The secrets. They have no `Debug`.
pub(crate) struct Secrets {
    token_keys: TokenKeys,
    pub(crate) retired_names_key: RetiredNamesKey,
    fingerprint: Fingerprint,
    pub(crate) pepper: Option<Zeroizing<Vec<u8>>>,
    first_start: PathBuf,
}

impl Secrets {
    /// Reads the secrets, and creates the missing ones.
    pub(crate) fn load(places: &Places, random: &dyn Random) -> Result<Self, SecretsError> {
        let folder = &places.folder;
        usable_folder(folder)?;
        let first_start = places.data.join(FIRST_START);
        make(folder, random, || Ok(replace(&first_start, b"", 0o600)?))?;
        let (names_key, token_keys) = read_keys(folder)?;
        let pepper = places.pepper.as_deref().map(read_pepper).transpose()?;
        Ok(Self {
            token_keys,
            fingerprint: Fingerprint::new(&names_key),
            retired_names_key: RetiredNamesKey::from_bytes(*names_key),
            pepper,
            first_start,
        })
    }

    /// Returns the keys of access tokens; the last one signs.
    pub(crate) fn token_keys(&self) -> Vec<TokenKey> {
        self.token_keys.in_order()
    }

    /// Returns whether this is the first start, or no earlier one got to [`Self::told`].
    pub(crate) fn is_new(&self) -> bool {
        self.first_start.exists()
    }

    /// Records that the operator has been told everything that only the first start tells.
    pub(crate) fn told(&self) -> Result<(), SecretsError> {
        match fs::remove_file(&self.first_start) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::Io(self.first_start.clone(), error).into())
            }
            _ => Ok(()),
        }
    }
}

/// Creates the folder if it is missing. Others can look into an existing one, because the files are private, but must
/// not be able to add files.
fn usable_folder(folder: &Path) -> Result<(), SecretsError> {
    if !folder.exists() {
        return Ok(private_folder(folder)?);
    }
    let metadata = fs::metadata(folder).map_err(|error| FileError::Io(folder.to_owned(), error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(FileError::LooseMode { path: folder.to_owned(), mode, wanted: 0o700 }.into())
}

/// Creates the missing files. Returns whether there were any. Calls `first` before it creates the last of them, if that
/// one is new.
fn make(
    folder: &Path,
    random: &dyn Random,
    first: impl FnOnce() -> Result<(), SecretsError>,
) -> Result<bool, SecretsError> {
    let (keys_path, names_path) = (folder.join(TOKEN_KEYS), folder.join(RETIRED_NAMES_KEY));
    let complete = || keys_path.exists() && names_path.exists();
    // A complete folder can be read-only.
    if complete() {
        return Ok(false);
    }
    let _making = hold(folder)?;
    if complete() {
        return Ok(false);
    }
    let is_new = !keys_path.exists();
    if !names_path.exists() {
        // It is created first and never again, because with another key every retired name could be registered anew.
        if !is_new {
            return Err(SecretsError::Missing(names_path));
        }
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut());
        replace(&names_path, URL_SAFE_NO_PAD.encode(key.as_slice()).as_bytes(), 0o600)?;
    }
    first()?;
    write_token_keys(&keys_path, &TokenKeys::generate(random))?;
    Ok(true)
}

/// Locks the folder against others who create or change its files, until the returned file is dropped.
fn hold(folder: &Path) -> Result<File, SecretsError> {
    let path = folder.join(MAKING);
    let failed = |error| SecretsError::Lock(path.clone(), error);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Reads the key of retired names of a folder.
///
/// # Errors
/// [`SecretsError`] if the file cannot be used.
pub fn read_retired_names_key(folder: &Path) -> Result<RetiredNamesKey, SecretsError> {
    Ok(RetiredNamesKey::from_bytes(*read_names_key(folder)?))
}

/// Replaces the keys of access tokens of a data folder by new ones. Earlier tokens are then invalid.
///
/// # Errors
/// [`SecretsError`] if the file cannot be written.
pub fn write_new_token_keys(data: &Path, random: &dyn Random) -> Result<(), SecretsError> {
    write_token_keys(&data.join(TOKEN_KEYS), &TokenKeys::generate(random))
}

fn read_names_key(folder: &Path) -> Result<Zeroizing<[u8; 32]>, SecretsError> {
    let path = folder.join(RETIRED_NAMES_KEY);
    let text = read(&path)?;
    decode(&path, text.trim_ascii())
}

fn read_keys(folder: &Path) -> Result<(Zeroizing<[u8; 32]>, TokenKeys), SecretsError> {
    let (keys_path, names_key) = (folder.join(TOKEN_KEYS), read_names_key(folder)?);
    let token_keys = TokenKeys::parse(&read(&keys_path)?).ok_or(SecretsError::Damaged(keys_path))?;
    Ok((names_key, token_keys))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    refuse_loose(path, 0o600)?;
    fs::read(path).map(Zeroizing::new).map_err(|error| SecretsError::Read(path.to_owned(), error))
}

fn decode(path: &Path, text: &[u8]) -> Result<Zeroizing<[u8; 32]>, SecretsError> {
    let damaged = || SecretsError::Damaged(path.to_owned());
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?);
    <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| damaged())
}

fn write_token_keys(path: &Path, keys: &TokenKeys) -> Result<(), SecretsError> {
    let text = keys.text().map_err(|_| SecretsError::Damaged(path.to_owned()))?;
    Ok(replace(path, &text, 0o600)?)
}

fn read_pepper(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    let pepper = read(path)?;
    if (PEPPER_MIN_BYTES..=PEPPER_MAX_BYTES).contains(&pepper.len()) {
        Ok(pepper)
    } else {
        Err(SecretsError::PepperLength(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemRandom;

    fn load(folder: &Path) -> Result<Secrets, SecretsError> {
        let places = Places { folder: folder.to_owned(), data: folder.to_owned(), pepper: None };
        Secrets::load(&places, &SystemRandom)
    }

    #[test]
    fn secrets_are_made_once_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let first = load(folder.path()).unwrap();
        let again = load(folder.path()).unwrap();
        assert!(first.is_new() && again.is_new(), "whoever ended before saying so is followed by another first start");
        again.told().unwrap();
        again.told().unwrap();
        assert!(!load(folder.path()).unwrap().is_new());
        assert_eq!(first.token_keys()[0].seed(), again.token_keys()[0].seed());
    }

    #[test]
    fn the_key_of_retired_names_is_never_made_a_second_time() {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path()).unwrap();
        let path = folder.path().join(RETIRED_NAMES_KEY);
        fs::remove_file(&path).unwrap();
        let refused = load(folder.path());
        assert!(matches!(refused, Err(SecretsError::Missing(missing)) if missing == path));
        assert!(!path.exists());
    }

    #[test]
    fn a_first_start_that_ended_between_two_secrets_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path()).unwrap();
        let names = fs::read(folder.path().join(RETIRED_NAMES_KEY)).unwrap();
        fs::remove_file(folder.path().join(TOKEN_KEYS)).unwrap();
        assert!(load(folder.path()).unwrap().is_new());
        assert_eq!(fs::read(folder.path().join(RETIRED_NAMES_KEY)).unwrap(), names);
    }

    #[test]
    fn damaged_and_readable_secrets_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path()).unwrap();
        let path = folder.path().join(TOKEN_KEYS);
        let good = fs::read(&path).unwrap();
        for bad in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"id\":\"a\",\"seed\":\"AA\"}]}"] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(load(folder.path()), Err(SecretsError::Damaged(_))), "{bad}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::write(&path, good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load(folder.path()), Err(SecretsError::File(_))));
    }
}
