//! Every limit that server and client must agree on, each with its reason.

/// A JSON body: 100 one-time prekeys and a device list take 12 KiB; ten times that is generous and cheap to parse.
pub const BODY_MAX_BYTES: usize = 128 * 1024;
/// A WebSocket frame: eight copies of the largest ciphertext fit with room for the framing.
pub const FRAME_MAX_BYTES: usize = 1024 * 1024;
/// One device's copy of a message. Larger things go as encrypted attachments.
pub const CIPHERTEXT_MAX_BYTES: usize = 96 * 1024;
/// A message's text, in UTF-8 bytes, so that with padding and headers it stays below [`CIPHERTEXT_MAX_BYTES`].
pub const TEXT_MAX_BYTES: usize = 64 * 1024;
/// Copies in one `Send`: the devices an account may have.
pub const COPIES_MAX: usize = 8;
/// Ids in one `Ack`; a client batches for at most 50 ms.
pub const ACK_MAX_IDS: usize = 256;
/// Numbers below the highest accepted one that the server still recognises, like IPsec's anti-replay window.
pub const NUMBER_WINDOW: u64 = 1024;
/// Newest sent number less the oldest unanswered one: a quarter of the window, so that a retry is always recognised.
pub const IN_FLIGHT_MAX: u64 = 256;
/// How far a client that was rolled back jumps above the server's highest number: past the whole window.
pub const ROLLBACK_JUMP: u64 = NUMBER_WINDOW + 1;
/// Unacked rows on one connection before the rest stays in the store, so that a slow reader costs bounded memory.
pub const DELIVERY_WINDOW_ROWS: usize = 64;
/// Unacked bytes on one connection, for the same reason.
pub const DELIVERY_WINDOW_BYTES: usize = 1024 * 1024;
/// Messages in one device's queue.
pub const QUEUE_MAX_MESSAGES: u64 = 10_000;
/// Ciphertext bytes in one device's queue.
pub const QUEUE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// A queued message is kept this long, in ms (30 days); a device that stays away longer is dormant.
pub const QUEUE_RETENTION_MILLIS: u64 = 30 * 24 * 3_600_000;
/// Username length in bytes: short names are scarce and long ones unreadable.
pub const USERNAME_MIN_BYTES: usize = 3;
/// See [`USERNAME_MIN_BYTES`].
pub const USERNAME_MAX_BYTES: usize = 32;
/// Shortest password, in bytes (NIST SP 800-63B).
pub const PASSWORD_MIN_BYTES: usize = 8;
/// Longest password, in bytes: hashing costs the same for all, reading must be bounded.
pub const PASSWORD_MAX_BYTES: usize = 1024;
pub use sealpost_crypto::prekey::{ONE_TIME_PREKEYS_LOW, ONE_TIME_PREKEYS_MAX_STORED, ONE_TIME_PREKEYS_MAX_UPLOAD};

/// Device lists returned by one call for a client that is behind.
pub const DEVICE_LISTS_MAX: usize = 64;
/// Life of an access token, in seconds.
pub const ACCESS_TOKEN_SECONDS: u64 = 600;
/// The server pings this often, in seconds, and drops after two misses.
pub const PING_SECONDS: u64 = 25;
