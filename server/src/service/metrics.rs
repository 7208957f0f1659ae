//! What the services count. How it is kept and shown is the adapter's matter.

use std::time::Duration;

use sealpost_api::problem::ProblemCode;

use super::hub::CloseReason;
use super::limiter::LimitName;

/// Counters. No method waits, fails, or is handed anything that names a person.
pub trait ServiceMetrics: Send + Sync + 'static {
    /// A message was accepted.
    fn accepted(&self);
    /// A message was refused.
    fn refused(&self, code: ProblemCode);
    /// Rows were handed to a socket.
    fn delivered(&self, rows: u64);
    /// Rows were acknowledged and deleted.
    fn acknowledged(&self, rows: u64);
    /// Someone tried to log in.
    fn login(&self, succeeded: bool);
    /// A rate limit refused something.
    fn limited(&self, limit: LimitName);
    /// So many look-ups were refused within an hour that somebody may be listing names.
    fn lookup_alarm(&self);
    /// Something panicked, and was caught at the edge of its request, stream or task.
    fn panicked(&self);
    /// A bundle went out without a one-time prekey because none was left.
    fn one_time_prekeys_exhausted(&self);
    /// So many passwords wait to be hashed.
    fn passwords_waiting(&self, waiting: usize);
    /// A password was compared, or could not be; waiting counts.
    fn password_answered(&self, took: Duration);
    /// An HTTP call was answered with this problem.
    fn problem(&self, code: ProblemCode);
    /// An HTTP call was answered; `route` is the pattern of its path, if it has one.
    fn request(&self, route: Option<&str>, status: u16, took: Duration);
    /// A stream was greeted.
    fn stream_opened(&self);
    /// A stream ended, greeted or not.
    fn stream_closed(&self, reason: CloseReason);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMetrics;

impl ServiceMetrics for NoMetrics {
    fn accepted(&self) {}
    fn refused(&self, _: ProblemCode) {}
    fn delivered(&self, _: u64) {}
    fn acknowledged(&self, _: u64) {}
    fn login(&self, _: bool) {}
    fn limited(&self, _: LimitName) {}
    fn lookup_alarm(&self) {}
    fn panicked(&self) {}
    fn one_time_prekeys_exhausted(&self) {}
    fn passwords_waiting(&self, _: usize) {}
    fn password_answered(&self, _: Duration) {}
    fn problem(&self, _: ProblemCode) {}
    fn request(&self, _: Option<&str>, _: u16, _: Duration) {}
    fn stream_opened(&self) {}
    fn stream_closed(&self, _: CloseReason) {}
}
