//! The empty content.

use zeroize::Zeroizing;

use super::kind::{BadContent, Kind};

/// Takes the place of a message that was given up, so that its counter is no gap.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Empty;

impl Kind for Empty {
    const NUMBER: u8 = 0;

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::default()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadContent> {
        if bytes.is_empty() { Ok(Self) } else { Err(BadContent) }
    }
}
