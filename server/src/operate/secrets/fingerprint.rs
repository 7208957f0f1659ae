//! Fingerprints of secrets, each keyed with the key of retired names, so that a reader of the database can neither
//! learn a secret from them nor test guesses.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::SecretsError;
use crate::service::tokens::TokenKey;

/// Computes fingerprints of secrets.
pub(crate) struct Fingerprint(Zeroizing<[u8; 32]>);

impl Fingerprint {
    pub(super) fn new(names_key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*names_key))
    }

    fn of(&self, label: &str, parts: &[&[u8]]) -> Result<[u8; 32], SecretsError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).map_err(|_| SecretsError::Fingerprint)?;
        mac.update(label.as_bytes());
        parts.iter().for_each(|part| mac.update(part));
        Ok(mac.finalize().into_bytes().into())
    }

    pub(super) fn names_key(&self) -> Result<[u8; 32], SecretsError> {
        self.of("sealpost fingerprint: names key", &[])
    }

    pub(super) fn pepper(&self, pepper: Option<&[u8]>) -> Result<[u8; 32], SecretsError> {
        match pepper {
            Some(pepper) => self.of("sealpost fingerprint: pepper", &[pepper]),
            None => self.of("sealpost fingerprint: no pepper", &[]),
        }
    }

    /// Computes the fingerprint of a key of access tokens, in the form that is shown.
    pub(super) fn token_key(&self, key: &TokenKey) -> Result<String, SecretsError> {
        Ok(hex::encode(self.of("sealpost fingerprint: token key", &[key.id().as_str().as_bytes(), key.seed()])?))
    }
}

/// Parses a fingerprint: 64 hexadecimal digits.
pub(super) fn parse(text: &str) -> Result<[u8; 32], SecretsError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SecretsError::Fingerprint)?;
    Ok(bytes)
}
