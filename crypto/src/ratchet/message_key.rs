//! `mk`: the key of one message, which is used once.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use crate::kdf;
use crate::labels;

/// Length of the authentication tag in bytes. It is not truncated.
pub(crate) const TAG_LEN: usize = 16;

/// The tag does not verify: the ciphertext or its associated data was not made with this key.
pub(crate) struct BadTag;

/// The plaintext is too long for AES-GCM (2³⁶ bytes). Messages are bounded far below that.
pub(crate) struct TooLong;

/// `mk`, 32 bytes.
pub(crate) struct MessageKey(Zeroizing<[u8; 32]>);

impl MessageKey {
    /// Length in bytes.
    pub(crate) const LEN: usize = 32;

    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Derives `HKDF-SHA-256(salt 0³², mk, "Sealpost Message Keys", 44)`: AEAD key (32) ‖ nonce (12). The nonce never repeats
    /// under a key, because each key encrypts one message.
    pub(crate) fn derive(&self) -> Zeroizing<[u8; 44]> {
        kdf::hkdf(&[0; 32], self.0.as_slice(), labels::MESSAGE_KEYS_INFO)
    }

    fn aead(&self) -> (Aes256Gcm, [u8; 12]) {
        let derived = self.derive();
        let mut key = Zeroizing::new([0; 32]);
        let mut nonce = [0; 12];
        let (first, second) = derived.split_at(32);
        key.copy_from_slice(first);
        nonce.copy_from_slice(second);
        (Aes256Gcm::new((&*key).into()), nonce)
    }

    /// Encrypts in place and returns the tag.
    pub(crate) fn seal(&self, associated_data: &[u8], plaintext: &mut [u8]) -> Result<[u8; TAG_LEN], TooLong> {
        let (aead, nonce) = self.aead();
        let tag = aead
            .encrypt_inout_detached(&Nonce::from(nonce), associated_data, InOutBuf::from(plaintext))
            .map_err(|_| TooLong)?;
        Ok(tag.into())
    }

    /// Decrypts `ciphertext ‖ tag` into a new buffer.
    pub(crate) fn open(&self, associated_data: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadTag> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(BadTag)?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let buffer = InOutBuf::new(ciphertext, plaintext.as_mut_slice()).map_err(|_| BadTag)?;
        let (aead, nonce) = self.aead();
        aead.decrypt_inout_detached(&Nonce::from(nonce), associated_data, buffer, tag.into()).map_err(|_| BadTag)?;
        Ok(plaintext)
    }
}
