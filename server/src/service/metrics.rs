//! The events that the services count. An adapter stores and shows the counts.

use std::time::Duration;

use sealpost_api::problem::ProblemCode;

use super::hub::CloseReason;
use super::limiter::LimitName;

/// The counters. No method waits, fails, or receives anything that names a person.
pub trait ServiceMetrics: Send + Sync + 'static {
    /// Counts an accepted message.
    fn accepted(&self);
    /// Counts a refused message.
    fn refused(&self, code: ProblemCode);
    /// Counts rows delivered to a stream.
    fn delivered(&self, rows: u64);
    /// Counts rows that were acknowledged and deleted.
    fn acknowledged(&self, rows: u64);
    /// Counts an attempt to log in.
    fn login(&self, succeeded: bool);
    /// Counts a refusal by a rate limit.
    fn limited(&self, limit: LimitName);
    /// Counts an hour with enough refused look-ups that somebody may be listing names.
    fn lookup_alarm(&self);
    /// Counts a panic that was caught at the edge of its request, stream or task.
    fn panicked(&self);
    /// Counts a bundle without a one-time prekey because none was left.
    fn one_time_prekeys_exhausted(&self);
    /// Sets the number of passwords that wait to be hashed.
    fn passwords_waiting(&self, waiting: usize);
    /// Records how long comparing a password took, including the wait, or that it could not be compared.
    fn password_answered(&self, took: Duration);
    /// Counts an HTTP call that got this problem.
    fn problem(&self, code: ProblemCode);
    /// Records an answered HTTP call. `route` is the pattern of its path, if it has one.
    fn request(&self, route: Option<&str>, status: u16, took: Duration);
    /// Counts a stream that got its `Welcome`.
    fn stream_opened(&self);
    /// Counts a stream that ended, whether or not it got its `Welcome`.
    fn stream_closed(&self, reason: CloseReason);
}

/// Counters that ignore everything.
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
