//! The folder of the secrets and its files.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

use super::error::SecretsError;
use super::token_keys::TokenKeys;
use crate::base::files::{FileError, private_folder, refuse_loose, replace};
use crate::domain::clock::Random;
use crate::service::RetiredNamesKey;

/// The file with the keys of access tokens.
pub(super) const TOKEN_KEYS: &str = "token_keys.json";
/// The file with the key under which names of deleted accounts are kept.
pub(super) const RETIRED_NAMES_KEY: &str = "retired_names.key";
/// Locked while files are created, so that only one of several nodes that start on a shared folder creates them.
const MAKING: &str = "making.lock";
/// The longest pepper. A longer file is a mistake.
const PEPPER_MAX_BYTES: usize = 1024;
/// The shortest pepper. A shorter one could be guessed.
const PEPPER_MIN_BYTES: usize = 16;

/// Creates the folder if it is missing. Others can look into an existing one, because the files are private, but must
/// not be able to add files.
pub(super) fn usable_folder(folder: &Path) -> Result<(), SecretsError> {
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
pub(super) fn make(
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
pub(super) fn hold(folder: &Path) -> Result<File, SecretsError> {
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
/// [`SecretsError`] if the file cannot be used.
pub fn write_new_token_keys(data: &Path, random: &dyn Random) -> Result<(), SecretsError> {
    write_token_keys(&data.join(TOKEN_KEYS), &TokenKeys::generate(random))
}

pub(super) fn read_names_key(folder: &Path) -> Result<Zeroizing<[u8; 32]>, SecretsError> {
    let path = folder.join(RETIRED_NAMES_KEY);
    let text = read(&path)?;
    decode(&path, text.trim_ascii())
}

pub(super) fn read_keys(folder: &Path) -> Result<(Zeroizing<[u8; 32]>, TokenKeys), SecretsError> {
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

pub(super) fn write_token_keys(path: &Path, keys: &TokenKeys) -> Result<(), SecretsError> {
    let text = keys.text().map_err(|_| SecretsError::Damaged(path.to_owned()))?;
    Ok(replace(path, &text, 0o600)?)
}

pub(super) fn read_pepper(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    let pepper = read(path)?;
    if (PEPPER_MIN_BYTES..=PEPPER_MAX_BYTES).contains(&pepper.len()) {
        Ok(pepper)
    } else {
        Err(SecretsError::PepperLength(path.to_owned()))
    }
}
