//! Time and randomness as arguments, so that a test sets the time and a simulation can be replayed.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::TryRng as _;
use sealpost_crypto::UnixMillis;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time in milliseconds since 1970.
    fn now(&self) -> UnixMillis;
}

/// A source of unpredictable random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the whole buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock: the only place that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system's random number generator: the only place that draws from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::panic,
        reason = "without randomness nothing is safe; Linux's generator cannot fail once it is seeded"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = rand::rngs::SysRng.try_fill_bytes(buffer) {
            panic!("the operating system gives no randomness: {error}");
        }
    }
}
