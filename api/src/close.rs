//! The close codes of the stream beyond those of RFC 6455.

/// A newer socket of the same device took over; a client does not reconnect by itself.
pub const REPLACED: u16 = 4409;
/// The access token expired unrenewed, or the session ended.
pub const UNAUTHENTICATED: u16 = 4401;
/// The account is not allowed to use the stream, for example because it was deleted.
pub const FORBIDDEN: u16 = 4403;
/// The client broke the protocol: an undecodable frame, or one that is not allowed now.
pub const PROTOCOL: u16 = 4400;
/// The client did not read what it was sent, or answered no ping.
pub const TOO_SLOW: u16 = 4408;
/// The server is stopping (RFC 6455 *service restart*); reconnect with jitter.
pub const RESTART: u16 = 1012;
