//! The quotas of one device's queue.

use sealpost_api::limits::{QUEUE_MAX_BYTES, QUEUE_MAX_MESSAGES};
use serde::{Deserialize, Serialize};

/// The most messages of one sender account in a device's queue: a tenth, so that it takes ten strangers to fill it.
const SENDER_SHARE_MESSAGES: u64 = QUEUE_MAX_MESSAGES / 10;

/// The quotas of one device's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// The most messages.
    pub messages_max: u64,
    /// The most bytes.
    pub bytes_max: u64,
    /// The most messages of one sender account.
    pub sender_messages_max: u64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            messages_max: QUEUE_MAX_MESSAGES,
            bytes_max: QUEUE_MAX_BYTES,
            sender_messages_max: SENDER_SHARE_MESSAGES,
        }
    }
}
