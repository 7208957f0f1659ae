//! Argon2id over memory that each thread keeps. Allocating and freeing 19 MiB for every hash would leave the allocator
//! with several times as much.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sealpost_api::password::Password;
use sealpost_sabotage::{Countermeasure, or_planted, without};
use zeroize::{Zeroize as _, Zeroizing};

use super::outcome::{PasswordsError, Verdict};
use super::settings::{PasswordSettings, SALT_BYTES};
use crate::domain::clock::Random;

/// The memory of one thread, as large as its largest hash so far.
pub(super) type Memory = Vec<Block>;

/// Today's and earlier parameters, the pepper, and dummies for accounts that do not exist.
pub(super) struct Hasher {
    params: Params,
    pepper: Option<Zeroizing<Vec<u8>>>,
    /// The hash that passwords for missing accounts are compared with, made with today's parameters.
    dummy: String,
    /// The dummy, and one for each of the earlier parameters.
    costs: Vec<PasswordHash>,
}

impl Hasher {
    /// Creates the dummies.
    ///
    /// # Errors
    /// [`PasswordsError::Hash`] for impossible parameters.
    pub(super) fn new(settings: &PasswordSettings, random: &dyn Random) -> Result<Self, PasswordsError> {
        let params = |memory_kib, passes| Params::new(memory_kib, passes, 1, None).map_err(failed);
        let today = params(settings.memory_kib, settings.passes)?;
        let mut hasher =
            Self { params: today.clone(), pepper: settings.pepper.clone(), dummy: String::new(), costs: Vec::new() };
        let mut all = vec![today];
        for cost in &settings.earlier {
            all.push(params(cost.memory_kib, cost.passes)?);
        }
        let mut memory = Memory::new();
        for params in all {
            let mut salt = [0; SALT_BYTES];
            random.fill(&mut salt);
            // A match with the dummy does not count: a missing account never gets `Verdict::Right`.
            hasher.costs.push(hasher.hash_with(params, b"no account has this", &salt, &mut memory)?);
        }
        hasher.dummy = hasher.costs.first().map(ToString::to_string).unwrap_or_default();
        Ok(hasher)
    }

    /// Returns the PHC string of a password.
    pub(super) fn hash(
        &self,
        password: &Password,
        salt: &[u8; SALT_BYTES],
        memory: &mut Memory,
    ) -> Result<String, PasswordsError> {
        Ok(self.hash_with(self.params.clone(), as_given(password), salt, memory)?.to_string())
    }

    /// Compares a password. A right one costs its own hash; everything else costs one hash of each kind.
    pub(super) fn verify(
        &self,
        password: &Password,
        hash: Option<&str>,
        memory: &mut Memory,
    ) -> Result<Verdict, PasswordsError> {
        let password = as_given(password);
        if planted_haste(hash) {
            return Ok(Verdict::Wrong);
        }
        let parsed = PasswordHash::new(hash.unwrap_or(&self.dummy)).map_err(failed)?;
        if self.matches(password, &parsed, memory)? && hash.is_some() {
            return Ok(if self.is_current(&parsed) { Verdict::Right } else { Verdict::RightButOutdated });
        }
        for other in self.costs.iter().filter(|other| !same_cost(other, &parsed)) {
            std::hint::black_box(self.matches(password, other, memory)?);
        }
        Ok(Verdict::Wrong)
    }

    fn hash_with(
        &self,
        params: Params,
        password: &[u8],
        salt: &[u8; SALT_BYTES],
        memory: &mut Memory,
    ) -> Result<PasswordHash, PasswordsError> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let text = ParamsString::try_from(&params).map_err(failed)?;
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let hash = self.output(self.argon2(algorithm, version, params)?, password, salt, length, memory)?;
        let salt = Some(Salt::new(salt).map_err(failed)?);
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: text,
            salt,
            hash: Some(hash),
        })
    }

    fn matches(&self, password: &[u8], hash: &PasswordHash, memory: &mut Memory) -> Result<bool, PasswordsError> {
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return Err(PasswordsError::Hash("the stored hash has no salt or no output".to_owned()));
        };
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(failed)?;
        let version = hash.version.map(Version::try_from).transpose().map_err(failed)?.unwrap_or_default();
        let argon2 = self.argon2(algorithm, version, Params::try_from(hash).map_err(failed)?)?;
        // Outputs are compared in constant time.
        Ok(self.output(argon2, password, salt, expected.len(), memory)? == *expected)
    }

    fn argon2(&self, algorithm: Algorithm, version: Version, params: Params) -> Result<Argon2<'_>, PasswordsError> {
        match &self.pepper {
            Some(pepper) => Argon2::new_with_secret(pepper, algorithm, version, params).map_err(failed),
            None => Ok(Argon2::new(algorithm, version, params)),
        }
    }

    fn output(
        &self,
        argon2: Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        length: usize,
        memory: &mut Memory,
    ) -> Result<Output, PasswordsError> {
        let blocks = argon2.params().block_count();
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        let mut buffer = [0; Output::MAX_LENGTH];
        let bytes = buffer.get_mut(..length).ok_or_else(|| failed("the output is too long"))?;
        argon2.hash_password_into_with_memory(password, salt, bytes, &mut *memory).map_err(failed)?;
        let output = Output::new(bytes).map_err(failed);
        buffer.zeroize();
        output
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        self.costs.first().is_some_and(|today| same_cost(hash, today))
    }
}

/// Returns the password's bytes unchanged, including blanks, controls and everything beyond a length.
fn as_given(password: &Password) -> &[u8] {
    let text = password.reveal();
    or_planted(Countermeasure::PasswordBytes, text, text.trim()).as_bytes()
}

/// Returns whether an unknown user is answered at once, in a build that leaves the countermeasure out.
fn planted_haste(hash: Option<&str>) -> bool {
    hash.is_none() && without(Countermeasure::SameTime)
}

/// Returns whether comparing a password with either hash costs the same.
fn same_cost(one: &PasswordHash, other: &PasswordHash) -> bool {
    (&one.algorithm, one.version, &one.params) == (&other.algorithm, other.version, &other.params)
}

fn failed(error: impl std::fmt::Display) -> PasswordsError {
    PasswordsError::Hash(error.to_string())
}
