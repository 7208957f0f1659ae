//! The keys that sign access tokens. The program that starts the server decides where they are kept.

use ed25519_dalek::SigningKey;
use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

use crate::domain::clock::Random;

/// The longest key id in bytes.
const KEY_ID_MAX_BYTES: usize = 32;

/// The id of a key: 1 to 32 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenKeyId(String);

/// The text is not a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token key's id has 1 to 32 of a-z, 0-9 and '-'")]
pub struct TokenKeyIdError;

impl TokenKeyId {
    /// Checks length and characters.
    ///
    /// # Errors
    /// [`TokenKeyIdError`] if the text is too long, empty, or has another character.
    pub fn parse(text: &str) -> Result<Self, TokenKeyIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > KEY_ID_MAX_BYTES || !text.bytes().all(allowed) {
            return Err(TokenKeyIdError);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An Ed25519 key for access tokens with its private half, which is wiped when dropped.
#[derive(Clone)]
pub struct TokenKey {
    id: TokenKeyId,
    seed: Zeroizing<[u8; 32]>,
}

impl TokenKey {
    /// Computes the key of a seed (32 random bytes).
    #[must_use]
    pub fn from_seed(id: TokenKeyId, seed: &[u8; 32]) -> Self {
        Self { id, seed: Zeroizing::new(*seed) }
    }

    /// Draws a new key with a new id.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut());
        let mut id = [0; 8];
        random.fill(&mut id);
        Self { id: TokenKeyId(format!("{:016x}", u64::from_be_bytes(id))), seed }
    }

    /// Returns the key's id.
    #[must_use]
    pub const fn id(&self) -> &TokenKeyId {
        &self.id
    }

    /// Returns the seed, to be stored in a file that nobody else can read.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    pub(super) fn encoding(&self) -> EncodingKey {
        // The library's name for "the provider's own form"; ours is the seed.
        EncodingKey::from_ed_der(self.seed.as_slice())
    }

    pub(super) fn decoding(&self) -> DecodingKey {
        DecodingKey::from_ed_der(SigningKey::from_bytes(&self.seed).verifying_key().as_bytes())
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, seed: _ } = self;
        write!(formatter, "TokenKey({}, seed hidden)", id.as_str())
    }
}
