//! The timers of one stream, behind a single sleeping timer, because an idle stream should cost little.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::StreamSettings;

/// The times when things are due.
pub(super) struct Timers {
    pub(super) ping_at: Instant,
    pub(super) seen_at: Instant,
    pub(super) expires_at: Instant,
    /// Set while acks wait.
    pub(super) acks_at: Option<Instant>,
    /// Set after a failed call.
    pub(super) retry_at: Option<Instant>,
    /// Set while the peer takes nothing.
    pub(super) stalled_at: Option<Instant>,
    pub(super) sleep: Pin<Box<Sleep>>,
}

impl Timers {
    /// Starts the timers. `life` is the remaining lifetime of the access token.
    pub(super) fn new(settings: &StreamSettings, life: Duration) -> Self {
        let now = Instant::now();
        Self {
            ping_at: now + settings.ping_interval,
            seen_at: now + settings.seen_interval,
            expires_at: now + life,
            acks_at: None,
            retry_at: None,
            stalled_at: None,
            sleep: Box::pin(tokio::time::sleep(settings.ping_interval)),
        }
    }

    /// Returns the earliest time.
    pub(super) fn next(&self) -> Instant {
        let always = self.ping_at.min(self.seen_at).min(self.expires_at);
        [self.acks_at, self.retry_at, self.stalled_at].into_iter().flatten().fold(always, Instant::min)
    }
}
