//! The times of streams.

use serde::{Deserialize, Serialize};

/// The times of streams, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// The time between two pings.
    pub ping_millis: u64,
    /// How long a peer can read nothing before its stream is closed.
    pub write_timeout_millis: u64,
    /// How long a browser can take to send its first frame, which contains its token.
    pub auth_timeout_millis: u64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { ping_millis: 25_000, write_timeout_millis: 5_000, auth_timeout_millis: 5_000 }
    }
}
