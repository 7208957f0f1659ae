//! What each kind of content says of itself.

use zeroize::Zeroizing;

/// The bytes are no content of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no content")]
pub(crate) struct BadContent;

/// A kind of content.
pub(crate) trait Kind: Sized {
    /// Its number in the envelope.
    const NUMBER: u8;

    /// Returns the content's bytes. Each content has one encoding.
    fn encode(&self) -> Zeroizing<Vec<u8>>;

    /// Reads the content's bytes.
    fn decode(bytes: &[u8]) -> Result<Self, BadContent>;

    /// Returns what a reader sees of it. Most kinds show nothing.
    fn into_shown(self) -> Option<Zeroizing<String>> {
        None
    }
}
