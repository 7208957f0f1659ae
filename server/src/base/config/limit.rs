//! The rate of a limit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rate of a limit: `burst` at once, and then `tokens` every `per_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The tokens in a full bucket, from 1.
    pub burst: u32,
    /// The tokens gained every `per_seconds`, from 1.
    pub tokens: u32,
    /// The seconds, from 1.
    pub per_seconds: u32,
}

impl Limit {
    /// Returns the parts of one token. Each ms adds one part for each of `tokens`, so that levels are whole numbers.
    #[must_use]
    pub const fn parts(&self) -> u64 {
        self.per_seconds as u64 * 1_000
    }

    /// Returns the parts in a full bucket. It saturates far beyond any useful limit.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.parts().saturating_mul(self.burst as u64)
    }

    /// Returns the ms in which an empty bucket gains a token.
    #[must_use]
    pub fn refill_millis(&self) -> u64 {
        self.parts().div_ceil(u64::from(self.tokens).max(1))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at once, then {} in {} s", self.burst, self.tokens, self.per_seconds)
    }
}
