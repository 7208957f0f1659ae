//! The server's own secrets: files of one folder with mode 0600, created at the first start. Many nodes share them, but
//! never through the database, because a thief of it must not be able to sign tokens or look up retired names.

use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::base::files::{FileError, replace};
use crate::domain::clock::Random;
use crate::service::RetiredNamesKey;
use crate::service::tokens::TokenKey;

mod agreed;
mod args;
mod command;
mod error;
mod fingerprint;
mod folder;
mod token_keys;

pub(crate) use agreed::{AgreeError, Fingerprints};
pub use args::{SecretsArgs, SecretsCommand};
pub use command::run;
pub use error::{Disagreed, SecretsError};
use fingerprint::Fingerprint;
use folder::{make, read_keys, read_pepper, usable_folder};
pub use folder::{read_retired_names_key, write_new_token_keys};
use token_keys::TokenKeys;

/// Exists until the first start has told the operator everything, so that a crash does not lose the first invite.
const FIRST_START: &str = "first_start";

/// Where the secrets are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder with the keys.
    pub(crate) folder: PathBuf,
    /// The data folder, which only this node has.
    pub(crate) data: PathBuf,
    /// The file with a secret for password hashes.
    pub(crate) pepper: Option<PathBuf>,
}

/// The secrets. They have no `Debug`, so that nothing prints them.
pub(crate) struct Secrets {
    token_keys: TokenKeys,
    pub(crate) retired_names_key: RetiredNamesKey,
    fingerprint: Fingerprint,
    pub(crate) pepper: Option<Zeroizing<Vec<u8>>>,
    first_start: PathBuf,
}

impl Secrets {
    /// Reads the secrets, and makes those that are missing.
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

    /// Returns whether no start has reached [`Self::told`] yet.
    pub(crate) fn is_new(&self) -> bool {
        self.first_start.exists()
    }

    /// Notes that the operator was told what only the first start tells.
    pub(crate) fn told(&self) -> Result<(), SecretsError> {
        match fs::remove_file(&self.first_start) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::Io(self.first_start.clone(), error).into())
            }
            _ => Ok(()),
        }
    }

    /// Returns what the store may know of the secrets.
    pub(crate) fn fingerprints(&self) -> Result<Fingerprints, SecretsError> {
        let of = |key| self.fingerprint.token_key(key).and_then(|text| fingerprint::parse(&text));
        let signing = self.token_keys.signing().map(of).transpose()?.ok_or(SecretsError::Fingerprint)?;
        let mut known = self.token_keys.iter().map(|(key, _)| of(key)).collect::<Result<Vec<_>, _>>()?;
        for text in &self.token_keys.replaced {
            known.push(fingerprint::parse(text)?);
        }
        Ok(Fingerprints {
            names_key: self.fingerprint.names_key()?,
            pepper: self.fingerprint.pepper(self.pepper.as_deref().map(Vec::as_slice))?,
            signing,
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::folder::{RETIRED_NAMES_KEY, TOKEN_KEYS};
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
        assert!(
            first.is_new() && again.is_new(),
            "a start that ended before it told the operator is followed by another first start"
        );
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
