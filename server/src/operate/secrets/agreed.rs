//! Checks that all nodes of a store have the same secrets. The store keeps fingerprints, each keyed with the key of
//! retired names, so that a reader of the database can neither learn a secret from them nor test guesses.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Secrets, SecretsError};
use crate::service::tokens::TokenKey;
use crate::store::{Fact, NodeStore, StoreError};

/// How often a node tries to agree on a key while other nodes change it.
const TRIES: u32 = 8;

/// This node's secrets are not those of the other nodes of its store. The texts are for the operator and name no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreed {
    /// The key of retired names differs.
    #[error(
        "retired_names.key is not the one that this store has been used with, and names of deleted accounts would be free \
         again; copy the secrets folder of a node that serves, or of its backup, and name it with --secrets"
    )]
    NamesKey,
    /// The pepper differs.
    #[error(
        "--pepper-file holds another secret than this store has been used with, or one of the two has none, and no password \
         could be compared; every node needs the same file"
    )]
    Pepper,
    /// None of the keys of access tokens is the one that others sign with.
    #[error(
        "token_keys.json lacks the key that the nodes of this store sign access tokens with, and each would refuse what the \
         others issue; copy the file from a node that serves, or, where all have lost it, run `sealpost-server secrets \
         replace-keys --replaces {0}`"
    )]
    TokenKey(String),
}

/// Makes fingerprints of secrets.
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

    fn names_key(&self) -> Result<[u8; 32], SecretsError> {
        self.of("sealpost fingerprint: names key", &[])
    }

    fn pepper(&self, pepper: Option<&[u8]>) -> Result<[u8; 32], SecretsError> {
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

/// The fingerprints of one node's secrets.
pub(crate) struct Fingerprints {
    names_key: [u8; 32],
    pepper: [u8; 32],
    signing: [u8; 32],
    /// The fingerprints of all accepted keys, and of those that these replaced.
    known: Vec<[u8; 32]>,
}

/// Why the nodes do not agree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgreeError {
    #[error(transparent)]
    Disagreed(#[from] Disagreed),
    #[error("the secrets of this node cannot be compared with the other nodes'")]
    Store(#[from] StoreError),
}

impl Secrets {
    /// Returns the fingerprints that the store can know.
    pub(crate) fn fingerprints(&self) -> Result<Fingerprints, SecretsError> {
        let of = |key| self.fingerprint.token_key(key).and_then(|text| parse(&text));
        let signing = self.token_keys.signing().map(of).transpose()?.ok_or(SecretsError::Fingerprint)?;
        let mut known = self.token_keys.iter().map(|(key, _)| of(key)).collect::<Result<Vec<_>, _>>()?;
        for text in &self.token_keys.replaced {
            known.push(parse(text)?);
        }
        Ok(Fingerprints {
            names_key: self.fingerprint.names_key()?,
            pepper: self.fingerprint.pepper(self.pepper.as_deref().map(Vec::as_slice))?,
            signing,
            known,
        })
    }
}

/// Parses a fingerprint: 64 hexadecimal digits.
pub(super) fn parse(text: &str) -> Result<[u8; 32], SecretsError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SecretsError::Fingerprint)?;
    Ok(bytes)
}

impl Fingerprints {
    /// Compares the fingerprints with those that the nodes of the store have agreed on; the first node decides. `many`
    /// says whether there can be other nodes whose tokens this one must accept.
    pub(crate) async fn agree(&self, store: &(impl NodeStore + ?Sized), many: bool) -> Result<(), AgreeError> {
        match self.agree_on_all(store, many).await {
            // A single node can start on a full disk, to deliver what it has. The next start records the agreement.
            Err(AgreeError::Store(StoreError::DiskFull)) if !many => Ok(()),
            agreed => agreed,
        }
    }

    async fn agree_on_all(&self, store: &(impl NodeStore + ?Sized), many: bool) -> Result<(), AgreeError> {
        if store.agree(Fact::NamesKey, self.names_key).await? != self.names_key {
            return Err(Disagreed::NamesKey.into());
        }
        if store.agree(Fact::Pepper, self.pepper).await? != self.pepper {
            return Err(Disagreed::Pepper.into());
        }
        if !many {
            return Ok(());
        }
        for _ in 0..TRIES {
            let signing = store.agree(Fact::TokenKey, self.signing).await?;
            if !self.known.contains(&signing) {
                return Err(Disagreed::TokenKey(hex::encode(signing)).into());
            }
            if signing == self.signing || store.agree_anew(Fact::TokenKey, signing, self.signing).await? {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }
}
