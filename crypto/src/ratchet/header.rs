//! The header of a message: `DHs(32) ‖ PN(u32) ‖ N(u32)`, big-endian (double ratchet revision 4, section 3.1).

use crate::prekey::{PrekeyError, PrekeyPublic};

/// The position of a message in the ratchet. It is authenticated, not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// `DHs`: the sender's ratchet key.
    pub(crate) ratchet_key: PrekeyPublic,
    /// `PN`: the number of messages in the sender's previous sending chain.
    pub(crate) previous_length: u32,
    /// `N`: the message's number in its chain.
    pub(crate) number: u32,
}

impl Header {
    /// Length in bytes.
    pub(crate) const LEN: usize = 40;

    /// Returns the wire form.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (key, numbers) = bytes.split_at_mut(PrekeyPublic::LEN);
        key.copy_from_slice(self.ratchet_key.as_bytes());
        let (previous_length, number) = numbers.split_at_mut(4);
        previous_length.copy_from_slice(&self.previous_length.to_be_bytes());
        number.copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// Decodes strictly, so that a ratchet key that is not canonical or has low order never reaches a key agreement.
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, PrekeyError> {
        let [key @ .., p0, p1, p2, p3, n0, n1, n2, n3] = bytes;
        Ok(Self {
            ratchet_key: PrekeyPublic::from_bytes(key)?,
            previous_length: u32::from_be_bytes([*p0, *p1, *p2, *p3]),
            number: u32::from_be_bytes([*n0, *n1, *n2, *n3]),
        })
    }
}
