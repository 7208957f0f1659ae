//! The server's own secrets: files of the data folder, 0600, made at the first start.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::domain::clock::Random;
use crate::files::{FileError, refuse_loose, replace};
use crate::service::RetiredNamesKey;
use crate::service::tokens::{TokenKey, TokenKeyId};

const TOKEN_KEYS: &str = "token_keys.json";
const RETIRED_NAMES_KEY: &str = "retired_names.key";
/// There until the first start has told the operator everything; a crash before that must not lose the first invite.
const FIRST_START: &str = "first_start";
/// More would be no pepper but a mistake.
const PEPPER_MAX_BYTES: usize = 1024;
/// Fewer can be guessed.
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
    /// A file is not what it should be.
    #[error("{} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// A file that is made once is gone.
    #[error("{} is gone; without it the names of deleted accounts would be free again; restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// The pepper has a wrong length.
    #[error("{} must hold 16 to 1,024 bytes", .0.display())]
    PepperLength(PathBuf),
}

/// `token_keys.json`: oldest first; the last one signs. To change keys, add one at the end, and remove the older ones once
/// the tokens that they signed have expired.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeysFile {
    keys: Vec<TokenKeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeyEntry {
    id: String,
    /// 32 bytes, unpadded base64url.
    seed: SeedText,
}

/// Wiped when dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct SeedText(String);

impl Drop for SeedText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The secrets. They have no `Debug`.
pub(super) struct Secrets {
    pub(super) token_keys: Vec<TokenKey>,
    pub(super) retired_names_key: RetiredNamesKey,
    pub(super) pepper: Option<Zeroizing<Vec<u8>>>,
    first_start: PathBuf,
}

impl Secrets {
    /// Reads them, and makes those that are missing.
    pub(super) fn load(data: &Path, pepper_file: Option<&Path>, random: &dyn Random) -> Result<Self, SecretsError> {
        let (keys_path, names_path) = (data.join(TOKEN_KEYS), data.join(RETIRED_NAMES_KEY));
        let is_new = !keys_path.exists();
        let first_start = data.join(FIRST_START);
        if !names_path.exists() {
            // It is made first and never again: with another key every retired name could be registered anew.
            if !is_new {
                return Err(SecretsError::Missing(names_path));
            }
            let mut key = Zeroizing::new([0; 32]);
            random.fill(key.as_mut());
            replace(&names_path, URL_SAFE_NO_PAD.encode(key.as_slice()).as_bytes(), 0o600)?;
        }
        if is_new {
            replace(&first_start, b"", 0o600)?;
            write_token_keys(&keys_path, &[TokenKey::generate(random)])?;
        }
        let names_text = read(&names_path)?;
        let names_key = decode(&names_path, names_text.trim_ascii())?;
        let pepper = pepper_file.map(read_pepper).transpose()?;
        Ok(Self {
            token_keys: read_token_keys(&keys_path)?,
            retired_names_key: RetiredNamesKey::from_bytes(*names_key),
            pepper,
            first_start,
        })
    }

    /// Whether this is the first start, or none came to [`Self::told`] yet.
    pub(super) fn is_new(&self) -> bool {
        self.first_start.exists()
    }

    /// The operator has been told what only the first start tells.
    pub(super) fn told(&self) -> Result<(), SecretsError> {
        match fs::remove_file(&self.first_start) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::Io(self.first_start.clone(), error).into())
            }
            _ => Ok(()),
        }
    }
}

/// The key of retired names that a folder has.
///
/// # Errors
/// [`SecretsError`]
pub fn read_retired_names_key(folder: &Path) -> Result<RetiredNamesKey, SecretsError> {
    let path = folder.join(RETIRED_NAMES_KEY);
    let text = read(&path)?;
    Ok(RetiredNamesKey::from_bytes(*decode(&path, text.trim_ascii())?))
}

/// Writes new keys for access tokens in place of what a data folder has: no token issued before is good any more.
///
/// # Errors
/// [`SecretsError`]
pub fn write_new_token_keys(data: &Path, random: &dyn Random) -> Result<(), SecretsError> {
    write_token_keys(&data.join(TOKEN_KEYS), &[TokenKey::generate(random)])
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

fn read_token_keys(path: &Path) -> Result<Vec<TokenKey>, SecretsError> {
    let damaged = || SecretsError::Damaged(path.to_owned());
    let file: TokenKeysFile = serde_json::from_slice(&read(path)?).map_err(|_| damaged())?;
    if file.keys.is_empty() {
        return Err(damaged());
    }
    file.keys
        .iter()
        .map(|entry| {
            let id = TokenKeyId::parse(&entry.id).map_err(|_| damaged())?;
            Ok(TokenKey::from_seed(id, &*decode(path, entry.seed.0.as_bytes())?))
        })
        .collect()
}

fn write_token_keys(path: &Path, keys: &[TokenKey]) -> Result<(), SecretsError> {
    let keys = keys
        .iter()
        .map(|key| TokenKeyEntry {
            id: key.id().as_str().to_owned(),
            seed: SeedText(URL_SAFE_NO_PAD.encode(key.seed())),
        })
        .collect();
    let text = serde_json::to_vec(&TokenKeysFile { keys }).map_err(|_| SecretsError::Damaged(path.to_owned()))?;
    Ok(replace(path, &Zeroizing::new(text), 0o600)?)
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

    #[test]
    fn secrets_are_made_once_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::load(folder.path(), None, &SystemRandom).unwrap();
        let again = Secrets::load(folder.path(), None, &SystemRandom).unwrap();
        assert!(first.is_new() && again.is_new(), "whoever ended before saying so is followed by another first start");
        again.told().unwrap();
        again.told().unwrap();
        assert!(!Secrets::load(folder.path(), None, &SystemRandom).unwrap().is_new());
        assert_eq!(first.token_keys[0].seed(), again.token_keys[0].seed());
    }

    #[test]
    fn the_key_of_retired_names_is_never_made_a_second_time() {
        let folder = tempfile::tempdir().unwrap();
        Secrets::load(folder.path(), None, &SystemRandom).unwrap();
        let path = folder.path().join(RETIRED_NAMES_KEY);
        fs::remove_file(&path).unwrap();
        let refused = Secrets::load(folder.path(), None, &SystemRandom);
        assert!(matches!(refused, Err(SecretsError::Missing(missing)) if missing == path));
        assert!(!path.exists());
    }

    #[test]
    fn a_first_start_that_ended_between_two_secrets_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        Secrets::load(folder.path(), None, &SystemRandom).unwrap();
        let names = fs::read(folder.path().join(RETIRED_NAMES_KEY)).unwrap();
        fs::remove_file(folder.path().join(TOKEN_KEYS)).unwrap();
        assert!(Secrets::load(folder.path(), None, &SystemRandom).unwrap().is_new());
        assert_eq!(fs::read(folder.path().join(RETIRED_NAMES_KEY)).unwrap(), names);
    }

    #[test]
    fn damaged_and_readable_secrets_are_refused_and_left_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        Secrets::load(folder.path(), None, &SystemRandom).unwrap();
        let path = folder.path().join(TOKEN_KEYS);
        let good = fs::read(&path).unwrap();
        for bad in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"id\":\"a\",\"seed\":\"AA\"}]}"] {
            fs::write(&path, bad).unwrap();
            assert!(
                matches!(Secrets::load(folder.path(), None, &SystemRandom), Err(SecretsError::Damaged(_))),
                "{bad}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::write(&path, good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Secrets::load(folder.path(), None, &SystemRandom), Err(SecretsError::File(_))));
    }
}
