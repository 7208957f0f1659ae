//! The adapters for the machine's clock and randomness, which nothing else in the client reads.

use sealpost_crypto::UnixMillis;

/// A source of the current time.
pub trait Clock: Send {
    /// Returns the current time in milliseconds since 1970.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
