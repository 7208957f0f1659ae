//! The vault key, wrapped under a passphrase.
//!
//! Wrapped: `nonce (12) ‖ AES-256-GCM(Argon2id(passphrase, salt), vault key) ‖ tag (16)`, with
//! `"Sealpost Vault Key v1\0" ‖ memory KiB (u32) ‖ passes (u32) ‖ lanes (u32) ‖ salt (16)` as associated data, so that
//! nobody can weaken the parameters unseen.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::key::VaultKey;
use crate::vault::error::VaultError;

const LABEL: &[u8] = b"Sealpost Vault Key v1\0";
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Bytes of a salt (RFC 9106 §3.1 recommends 16).
pub(in crate::vault) const SALT_LEN: usize = 16;
/// Most memory that a file may ask for: opening a stranger's file must not take the machine down.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most passes that a file may ask for, for the same reason.
const PASSES_MAX: u32 = 10;
/// Most lanes that a file may ask for.
const LANES_MAX: u32 = 16;

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParameters {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for KdfParameters {
    /// Returns 64 MiB, three passes, one lane: about a tenth of a second for the owner, and expensive for an attacker who
    /// guesses.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// A wrapped key and what it needs to be unwrapped.
pub(in crate::vault) struct Wrapped {
    pub(in crate::vault) parameters: KdfParameters,
    pub(in crate::vault) salt: [u8; SALT_LEN],
    pub(in crate::vault) sealed: Vec<u8>,
}

impl Wrapped {
    /// Returns what a header holds in this place when the key is in the key ring.
    pub(in crate::vault) const fn nothing() -> Self {
        let parameters = KdfParameters { memory_kib: 0, passes: 0, lanes: 0 };
        Self { parameters, salt: [0; SALT_LEN], sealed: Vec::new() }
    }

    /// Wraps a key under a passphrase.
    pub(in crate::vault) fn wrap(
        rng: &mut impl CryptoRng,
        key: &[u8; 32],
        passphrase: &str,
        parameters: KdfParameters,
    ) -> Result<Self, VaultError> {
        let (mut salt, mut nonce) = ([0_u8; SALT_LEN], [0_u8; NONCE_LEN]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(key);
        let tag = cipher(passphrase, &salt, parameters)?
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                &associated_data(parameters, &salt),
                sealed.get_mut(NONCE_LEN..).unwrap_or_default().into(),
            )
            .map_err(|_| VaultError::Damaged { what: "key" })?;
        sealed.extend_from_slice(&tag);
        Ok(Self { parameters, salt, sealed })
    }

    /// Unwraps the key; with another passphrase the vault is locked.
    pub(in crate::vault) fn unwrap(&self, passphrase: &str) -> Result<VaultKey, VaultError> {
        let damaged = || VaultError::Damaged { what: "key" };
        let (nonce, rest) = self.sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(damaged)?;
        let mut key = Zeroizing::new(<[u8; 32]>::try_from(ciphertext).map_err(|_| damaged())?);
        cipher(passphrase, &self.salt, self.parameters)?
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &associated_data(self.parameters, &self.salt),
                key.as_mut_slice().into(),
                tag.into(),
            )
            .map_err(|_| VaultError::Locked)?;
        Ok(key)
    }
}

fn associated_data(parameters: KdfParameters, salt: &[u8; SALT_LEN]) -> Vec<u8> {
    let KdfParameters { memory_kib, passes, lanes } = parameters;
    [LABEL, &memory_kib.to_be_bytes(), &passes.to_be_bytes(), &lanes.to_be_bytes(), salt].concat()
}

fn cipher(passphrase: &str, salt: &[u8; SALT_LEN], parameters: KdfParameters) -> Result<Aes256Gcm, VaultError> {
    let KdfParameters { memory_kib, passes, lanes } = parameters;
    let damaged = || VaultError::Damaged { what: "key derivation's parameters" };
    if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
        return Err(damaged());
    }
    let parameters = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| damaged())?;
    let mut key = Zeroizing::new([0_u8; 32]);
    let starved = || VaultError::Storage { reason: "not enough memory to derive the key".to_owned() };
    // Reserved in a way that can fail: an ordinary allocation that fails ends the process.
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(parameters.block_count()).map_err(|_| starved())?;
    memory.resize(parameters.block_count(), Block::default());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(passphrase.as_bytes(), salt, key.as_mut_slice(), memory.as_mut_slice())
        .map_err(|_| damaged())?;
    Ok(Aes256Gcm::new((&*key).into()))
}
