//! A request to send messages again.

use sealpost_api::ids::MessageNumber;
use zeroize::Zeroizing;

use super::kind::{BadContent, Kind};
use crate::engine::codec::Bin32;

/// Messages asked for again by one request: more than fail in one go, few enough for one small message.
pub(crate) const REPAIR_MAX: usize = 64;

/// Number and hash.
const FAILED_BYTES: usize = 8 + 32;

/// A message that could not be decrypted, as the requester saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) number: MessageNumber,
    pub(crate) ciphertext_hash: [u8; 32],
}

/// Asks for 1 to [`REPAIR_MAX`] messages again.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct RepairRequest(pub(crate) Vec<Failed>);

impl RepairRequest {
    /// Returns a request for these numbers.
    pub(crate) fn new(failed: &[(u64, Bin32)]) -> Self {
        let failed =
            failed.iter().map(|(number, hash)| Failed { number: MessageNumber(*number), ciphertext_hash: hash.0 });
        Self(failed.collect())
    }
}

impl Kind for RepairRequest {
    const NUMBER: u8 = 2;

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.0.len().saturating_mul(FAILED_BYTES));
        for Failed { number, ciphertext_hash } in &self.0 {
            bytes.extend_from_slice(&number.0.to_be_bytes());
            bytes.extend_from_slice(ciphertext_hash);
        }
        Zeroizing::new(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadContent> {
        if bytes.is_empty() || bytes.len() > REPAIR_MAX * FAILED_BYTES {
            return Err(BadContent);
        }
        let (chunks, []) = bytes.as_chunks::<FAILED_BYTES>() else { return Err(BadContent) };
        let failed = chunks.iter().map(|chunk| {
            let (number, hash) = chunk.split_first_chunk::<8>().ok_or(BadContent)?;
            Ok(Failed {
                number: MessageNumber(u64::from_be_bytes(*number)),
                ciphertext_hash: hash.try_into().map_err(|_| BadContent)?,
            })
        });
        failed.collect::<Result<_, _>>().map(Self)
    }
}
