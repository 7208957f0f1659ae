//! One result, in both of its forms.

use serde::{Deserialize, Serialize};

use crate::sanitise;

/// One result, as JSON and for people. The process that prints it chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// One JSON object without line breaks or hidden characters.
    pub(crate) json: String,
    /// For people, sanitised; empty when there is nothing to say.
    pub(crate) text: String,
}

impl Line {
    /// Makes a line of this object and this text, which must be sanitised.
    pub(crate) fn new(object: &impl Serialize, text: impl Into<String>) -> Self {
        // Only maps with other keys than strings fail to serialise, and there are none.
        let json = serde_json::to_string(object).unwrap_or_default();
        Self { json: sanitise::escape_json(&json), text: text.into() }
    }
}
