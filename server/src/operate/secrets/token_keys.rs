//! `token_keys.json`: the keys of access tokens, which can be changed without logging anyone out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::error::SecretsError;
use crate::domain::clock::Random;
use crate::service::tokens::{TokenKey, TokenKeyId};

/// The number of remembered fingerprints of replaced keys: that many replacements can happen before every node has seen
/// one of them.
const REPLACED_MAX: usize = 16;

/// The content of the file. The last key that does not wait signs, and all keys are accepted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
    /// The fingerprints of the keys that these replaced, newest last. A cluster that signs with one of them continues
    /// with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    /// 32 bytes, unpadded base64url.
    seed: SeedText,
    /// Whether the key is accepted but does not sign yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waiting: bool,
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

/// One key.
#[derive(Clone)]
struct Held {
    key: TokenKey,
    waiting: bool,
}

/// All keys, of which at least one does not wait.
#[derive(Clone)]
pub(super) struct TokenKeys {
    held: Vec<Held>,
    pub(super) replaced: Vec<String>,
}

impl TokenKeys {
    /// Creates a set with one new key.
    pub(super) fn generate(random: &dyn Random) -> Self {
        Self { held: vec![Held { key: TokenKey::generate(random), waiting: false }], replaced: Vec::new() }
    }

    /// Parses the text of the file. Returns `None` if it is damaged.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(text).ok()?;
        let held = file.keys.iter().map(|entry| {
            let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(entry.seed.0.as_bytes()).ok()?);
            let seed = Zeroizing::new(<[u8; 32]>::try_from(seed.as_slice()).ok()?);
            let key = TokenKey::from_seed(TokenKeyId::parse(&entry.id).ok()?, &seed);
            Some(Held { key, waiting: entry.waiting })
        });
        let held = held.collect::<Option<Vec<_>>>()?;
        held.iter().any(|held| !held.waiting).then_some(Self { held, replaced: file.replaced })
    }

    /// Returns the text of the file.
    pub(super) fn text(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let keys = self.held.iter().map(|Held { key, waiting }| Entry {
            id: key.id().as_str().to_owned(),
            seed: SeedText(URL_SAFE_NO_PAD.encode(key.seed())),
            waiting: *waiting,
        });
        let file = File { keys: keys.collect(), replaced: self.replaced.clone() };
        serde_json::to_vec(&file).map(Zeroizing::new)
    }

    /// Returns the keys for signing and checking; the last one signs.
    pub(super) fn in_order(&self) -> Vec<TokenKey> {
        let of = |waiting| self.held.iter().filter(move |held| held.waiting == waiting).map(|held| held.key.clone());
        of(true).chain(of(false)).collect()
    }

    /// Returns each key, and whether it waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&TokenKey, bool)> {
        self.held.iter().map(|held| (&held.key, held.waiting))
    }

    /// Returns the key that signs.
    pub(super) fn signing(&self) -> Option<&TokenKey> {
        self.held.iter().rev().find(|held| !held.waiting).map(|held| &held.key)
    }

    /// Adds a key that is accepted and does not sign yet.
    ///
    /// # Errors
    /// [`SecretsError::Waiting`] if a key is waiting already, which must be used first.
    pub(super) fn add(&mut self, random: &dyn Random) -> Result<(), SecretsError> {
        if self.held.iter().any(|held| held.waiting) {
            return Err(SecretsError::Waiting);
        }
        self.held.push(Held { key: TokenKey::generate(random), waiting: true });
        Ok(())
    }

    /// Makes the waiting key the one that signs.
    ///
    /// # Errors
    /// [`SecretsError::NoneWaits`] if no key is waiting.
    pub(super) fn use_added(&mut self) -> Result<(), SecretsError> {
        let Some(added) = self.held.iter_mut().find(|held| held.waiting) else { return Err(SecretsError::NoneWaits) };
        added.waiting = false;
        Ok(())
    }

    /// Drops the keys that signed before.
    pub(super) fn drop_former(&mut self) {
        let Some(signing) = self.signing().map(|key| key.id().clone()) else { return };
        self.held.retain(|held| held.waiting || *held.key.id() == signing);
    }

    /// Replaces all keys by a new one, and remembers their fingerprints.
    pub(super) fn replace(&mut self, fingerprints: Vec<String>, random: &dyn Random) {
        let mut replaced = std::mem::take(&mut self.replaced);
        replaced.extend(fingerprints);
        replaced.drain(..replaced.len().saturating_sub(REPLACED_MAX));
        *self = Self { replaced, ..Self::generate(random) };
    }
}
