//! Every limit that server and client must agree on, each with its reason.

/// The longest JSON body. 100 one-time prekeys and a device list take 12 KiB; ten times that is generous and cheap to
/// parse.
pub const BODY_MAX_BYTES: usize = 128 * 1024;
/// The longest WebSocket frame: eight copies of the largest ciphertext fit, with room for the framing.
pub const FRAME_MAX_BYTES: usize = 1024 * 1024;
/// The longest copy of a message. Larger content goes into encrypted attachments.
pub const CIPHERTEXT_MAX_BYTES: usize = 96 * 1024;
/// The longest text of a message in UTF-8 bytes. With padding and headers it stays below [`CIPHERTEXT_MAX_BYTES`].
pub const TEXT_MAX_BYTES: usize = 64 * 1024;
/// The most copies in one `Send`, which is the most devices of an account.
pub const COPIES_MAX: usize = 8;
/// The most ids in one `Ack`. A client batches acks for at most 50 ms.
pub const ACK_MAX_IDS: usize = 256;
/// How many numbers below the highest accepted one the server still recognises, like IPsec's anti-replay window.
pub const NUMBER_WINDOW: u64 = 1024;
/// The greatest distance between the newest sent number and the oldest unanswered one: a quarter of the window, so that
/// a retry is always recognised.
pub const IN_FLIGHT_MAX: u64 = 256;
/// How far a client jumps above the server's highest number after a rollback: past the whole window.
pub const ROLLBACK_JUMP: u64 = NUMBER_WINDOW + 1;
/// The most unacked rows on one connection. Further rows stay in the store, so that a slow reader costs bounded memory.
pub const DELIVERY_WINDOW_ROWS: usize = 64;
/// The most unacked bytes on one connection, for the same reason.
pub const DELIVERY_WINDOW_BYTES: usize = 1024 * 1024;
/// The most messages in one device's queue.
pub const QUEUE_MAX_MESSAGES: u64 = 10_000;
/// The most ciphertext bytes in one device's queue.
pub const QUEUE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How long a queued message is kept, in ms (30 days). A device that stays away longer is dormant.
pub const QUEUE_RETENTION_MILLIS: u64 = 30 * 24 * 3_600_000;
/// The shortest username in bytes. Short names are scarce, and long ones unreadable.
pub const USERNAME_MIN_BYTES: usize = 3;
/// The longest username in bytes.
pub const USERNAME_MAX_BYTES: usize = 32;
/// The shortest password in bytes (NIST SP 800-63B).
pub const PASSWORD_MIN_BYTES: usize = 8;
/// The longest password in bytes. Reading one must be bounded; hashing costs the same for every length.
pub const PASSWORD_MAX_BYTES: usize = 1024;
pub use sealpost_crypto::prekey::{ONE_TIME_PREKEYS_LOW, ONE_TIME_PREKEYS_MAX_STORED, ONE_TIME_PREKEYS_MAX_UPLOAD};

/// The most device lists that one call returns to a client that is behind.
pub const DEVICE_LISTS_MAX: usize = 64;
/// The lifetime of an access token, in seconds.
pub const ACCESS_TOKEN_SECONDS: u64 = 600;
/// The server's ping interval, in seconds. It drops a connection after two missed pings.
pub const PING_SECONDS: u64 = 25;
