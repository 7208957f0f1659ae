//! What may be inside the encryption: one enum of contents, one file a kind.
//!
//! A kind is a type that implements [`Kind`] and one line in the list below.

mod empty;
pub(crate) mod envelope;
mod kind;
mod repair;
mod text;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(crate) use empty::Empty;
pub(crate) use kind::{BadContent, Kind};
#[cfg(test)]
pub(crate) use repair::Failed;
pub(crate) use repair::{REPAIR_MAX, RepairRequest};
pub(crate) use text::Text;

use super::codec::Bin32;
use super::error::EngineError;

macro_rules! contents {
    ($($kind:ident),* $(,)?) => {
        /// A content of any kind.
        #[derive(Clone, PartialEq, Eq)]
        #[cfg_attr(test, derive(Debug))]
        pub(crate) enum Content {
            $($kind($kind)),*
        }

        $(impl From<$kind> for Content {
            fn from(content: $kind) -> Self {
                Self::$kind(content)
            }
        })*

        impl Content {
            /// Returns the kind's number and the content's bytes.
            pub(crate) fn encode(&self) -> (u8, Zeroizing<Vec<u8>>) {
                match self {
                    $(Self::$kind(content) => (<$kind as Kind>::NUMBER, content.encode())),*
                }
            }

            /// Reads a content of the kind with this number.
            pub(crate) fn decode(number: u8, bytes: &[u8]) -> Result<Self, BadContent> {
                match number {
                    $(<$kind as Kind>::NUMBER => <$kind as Kind>::decode(bytes).map(Self::$kind),)*
                    _ => Err(BadContent),
                }
            }

            /// Returns what a reader sees of it; `None` for a content that shows nothing.
            pub(crate) fn into_shown(self) -> Option<Zeroizing<String>> {
                match self {
                    $(Self::$kind(content) => content.into_shown()),*
                }
            }
        }
    };
}

contents! {
    Empty,
    Text,
    RepairRequest,
}

/// A content that waits in the outbox, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Draft {
    /// A text of the history, at this position.
    Text { history: u64 },
    /// Takes the counter that was given to a message which was given up.
    Empty,
    /// A request to send messages again: numbers and hashes of ciphertexts.
    Repair { failed: Vec<(u64, Bin32)> },
}

impl Draft {
    /// Returns the content; `text_at` reads a text of the history.
    pub(crate) fn content(
        &self,
        text_at: impl FnOnce(u64) -> Result<Text, EngineError>,
    ) -> Result<Content, EngineError> {
        Ok(match self {
            Self::Text { history } => text_at(*history)?.into(),
            Self::Empty => Empty.into(),
            Self::Repair { failed } => RepairRequest::new(failed).into(),
        })
    }

    /// Returns the history position of a text.
    pub(crate) const fn history(&self) -> Option<u64> {
        match self {
            Self::Text { history } => Some(*history),
            _ => None,
        }
    }
}
