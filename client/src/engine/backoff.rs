//! Growing waits between tries.

use sealpost_crypto::UnixMillis;

/// First wait after a failure, in ms; doubled with each further one.
const FIRST_MS: u64 = 250;
/// Longest wait, in ms: a server that comes back is found within half a minute.
const MAX_MS: u64 = 30_000;
/// Longest wait that a server may ask for, in ms: no limit of the specification takes longer, and a server that says
/// "never" must not be believed.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    retry_at: UnixMillis,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, retry_at: UnixMillis(0) }
    }
}

impl Backoff {
    /// Returns from when on another try is due.
    pub(crate) const fn retry_at(&self) -> UnixMillis {
        self.retry_at
    }

    /// Returns whether there is a time to wait for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.retry_at != UnixMillis(0)
    }

    /// Ends the wait, without forgetting the failures: somebody asks.
    pub(crate) const fn try_now(&mut self) {
        self.retry_at = UnixMillis(0);
    }

    /// Counts a failure. Half of each wait is random, so that many clients do not come back at once.
    pub(crate) fn fail(&mut self, now: UnixMillis, random: u64, at_least_ms: Option<u64>) {
        let wait = FIRST_MS.checked_shl(self.failures.min(16)).unwrap_or(MAX_MS).min(MAX_MS);
        let jitter = random % (wait / 2).max(1);
        self.failures = self.failures.saturating_add(1);
        let at_least = at_least_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
        self.retry_at = now.saturating_add((wait / 2).saturating_add(jitter).max(at_least));
    }
}
