//! `CK`: a sending or receiving chain (double ratchet revision 4, section 2.2).

use zeroize::Zeroizing;

use super::message_key::MessageKey;
use crate::kdf;

/// The input of KDF_CK that gives the message key.
const MESSAGE_KEY_INPUT: &[u8] = &[0x01];
/// The input of KDF_CK that gives the next chain key.
const CHAIN_KEY_INPUT: &[u8] = &[0x02];

/// `CK`, 32 bytes.
#[derive(Clone)]
pub(crate) struct ChainKey(Zeroizing<[u8; 32]>);

impl ChainKey {
    /// Length in bytes.
    pub(crate) const LEN: usize = 32;

    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Performs `KDF_CK(CK)`: returns `mk = HMAC(CK, 01)` and becomes `CK' = HMAC(CK, 02)`.
    pub(crate) fn advance(&mut self) -> MessageKey {
        let mac = kdf::hmac(&self.0);
        let mut message_key = Zeroizing::new([0; 32]);
        kdf::finish(mac.clone(), MESSAGE_KEY_INPUT, &mut message_key);
        kdf::finish(mac, CHAIN_KEY_INPUT, &mut self.0);
        MessageKey::new(message_key)
    }
}
