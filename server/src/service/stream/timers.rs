//! The times of one stream, behind one sleeping timer: an idle socket should cost little.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::StreamSettings;

/// When the next thing is due.
pub(super) struct Timers {
    pub(super) ping_at: Instant,
    pub(super) seen_at: Instant,
    pub(super) expires_at: Instant,
    /// Set while acknowledgements wait.
    pub(super) acks_at: Option<Instant>,
    /// Set after a failed call.
    pub(super) retry_at: Option<Instant>,
    /// Set while the peer takes nothing.
    pub(super) stalled_at: Option<Instant>,
    pub(super) sleep: Pin<Box<Sleep>>,
}

impl Timers {
    /// `life`: what is left of the access token.
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

    /// The earliest of them.
    pub(super) fn next(&self) -> Instant {
        let always = self.ping_at.min(self.seen_at).min(self.expires_at);
        [self.acks_at, self.retry_at, self.stalled_at].into_iter().flatten().fold(always, Instant::min)
    }
}
