//! How values are sealed: AES-256-GCM for what they are, HMAC-SHA-256 for the keys they are looked up by.
//!
//! ```text
//! vault key (32, random) ── HKDF-SHA-256 ─┬─ "Sealpost Vault Values v1\0" → AES-256-GCM key
//!                                         └─ "Sealpost Vault Lookup v1\0" → HMAC-SHA-256 key
//! sealed value = nonce (12, random) ‖ ciphertext ‖ tag (16)
//! associated data = format (1) ‖ 0x01 ‖ table (1) ‖ blinded key (32)    of a map's row
//!                 | format (1) ‖ 0x02 ‖ list (1) ‖ position (u64 be)    of a list's row
//!                 | format (1) ‖ 0x03                                   of the vault's own state
//! ```
//!
//! The associated data ties a value to its row, so that rows cannot be swapped unseen. Nonces are random 96 bits: safe for
//! far more than the 2³² values that one vault will ever write.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::port::{Log, Table, Value};

/// Version of the sealed form.
const FORMAT: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const VALUES_INFO: &[u8] = b"Sealpost Vault Values v1\0";
const LOOKUP_INFO: &[u8] = b"Sealpost Vault Lookup v1\0";

/// A look-up key as the database has it.
pub(in crate::vault) type Blinded = [u8; 32];

/// Which row a value belongs to.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Place<'a> {
    /// A keyed map's row.
    Entry(Table, &'a Blinded),
    /// A list's row.
    Position(Log, u64),
    /// The vault's own state, in the header.
    State,
}

impl Place<'_> {
    fn associated_data(self) -> Vec<u8> {
        match self {
            Self::Entry(table, key) => [&[FORMAT, 1, table as u8], key.as_slice()].concat(),
            Self::Position(log, position) => [&[FORMAT, 2, log as u8], position.to_be_bytes().as_slice()].concat(),
            Self::State => vec![FORMAT, 3],
        }
    }

    /// Returns the error for a value that is not what was sealed for this place.
    pub(in crate::vault) const fn damaged(self) -> VaultError {
        let what = match self {
            Self::Entry(table, _) => table.name(),
            Self::Position(log, _) => log.name(),
            Self::State => "header",
        };
        VaultError::Damaged { what }
    }
}

/// Seals and opens the values of one vault.
pub(in crate::vault) struct Sealer {
    values: Aes256Gcm,
    lookup: Hmac<Sha256>,
}

impl Sealer {
    /// Derives both keys from the vault key.
    pub(in crate::vault) fn new(vault_key: &[u8; 32]) -> Result<Self, VaultError> {
        let hkdf = Hkdf::<Sha256>::new(None, vault_key);
        let subkey = |info: &[u8]| {
            let mut key = Zeroizing::new([0_u8; 32]);
            hkdf.expand(info, key.as_mut_slice()).map_err(|_| VaultError::Damaged { what: "key" })?;
            Ok::<_, VaultError>(key)
        };
        let values = Aes256Gcm::new((&*subkey(VALUES_INFO)?).into());
        let lookup = Hmac::<Sha256>::new_from_slice(subkey(LOOKUP_INFO)?.as_slice())
            .map_err(|_| VaultError::Damaged { what: "key" })?;
        Ok(Self { values, lookup })
    }

    /// Returns the form of a look-up key that tells a thief of the database nothing.
    pub(in crate::vault) fn blind(&self, table: Table, key: &[u8]) -> Blinded {
        let mut mac = self.lookup.clone();
        mac.update(&[table as u8]);
        mac.update(key);
        mac.finalize().into_bytes().into()
    }

    /// Seals `parts`, joined, for this place.
    pub(in crate::vault) fn seal(
        &self,
        rng: &mut impl CryptoRng,
        place: Place<'_>,
        parts: &[&[u8]],
    ) -> Result<Vec<u8>, VaultError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut nonce = [0_u8; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut sealed = Vec::with_capacity(NONCE_LEN + length + TAG_LEN);
        sealed.extend_from_slice(&nonce);
        for part in parts {
            sealed.extend_from_slice(part);
        }
        let tag = self
            .values
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                &place.associated_data(),
                sealed.get_mut(NONCE_LEN..).unwrap_or_default().into(),
            )
            .map_err(|_| VaultError::Damaged { what: "value" })?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made for this place.
    pub(in crate::vault) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Value, VaultError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| place.damaged())?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(|| place.damaged())?;
        let mut value = Zeroizing::new(ciphertext.to_vec());
        self.values
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &place.associated_data(),
                value.as_mut_slice().into(),
                tag.into(),
            )
            .map_err(|_| place.damaged())?;
        Ok(value)
    }
}
