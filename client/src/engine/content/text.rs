//! A text.

use sealpost_api::limits::TEXT_MAX_BYTES;
use zeroize::Zeroizing;

use super::kind::{BadContent, Kind};

/// A text of 1 to 65,536 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Text(pub(crate) Zeroizing<String>);

impl Kind for Text {
    const NUMBER: u8 = 1;

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadContent> {
        if bytes.is_empty() || bytes.len() > TEXT_MAX_BYTES {
            return Err(BadContent);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BadContent)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    fn into_shown(self) -> Option<Zeroizing<String>> {
        Some(self.0)
    }
}
