//! The metrics of one node, kept with `prometheus` and shown on the private listener only. No label names a person, a
//! device or an address. docs/operations.md gives the question that each answers, and a test compares the two.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};
use sealpost_api::endpoints;
use sealpost_api::problem::ProblemCode;

use crate::relay::{RelayCounts, RelayState};
use crate::service::ServiceMetrics;
use crate::service::hub::CloseReason;
use crate::service::limiter::LimitName;
use crate::store::{FileSizes, StoreFigures, StoreObserver};

mod figures;
mod make;
mod process;
mod relayed;

use figures::Figures;
use make::{CLASSES, Make, set};
use relayed::Relayed;

/// The buckets of commits, in seconds: from a fast SSD to a failing disk.
const COMMIT_SECONDS: &[f64] = &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// The buckets of operations in one commit; 512 is the most.
const COMMIT_OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The buckets of requests, in seconds.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// The buckets of password hashes, in seconds, including the wait.
const PASSWORD_SECONDS: &[f64] = &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// The label of requests that match no route.
const UNKNOWN: &str = "unknown";

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    accepted: IntCounter,
    refused: IntCounterVec,
    delivered: IntCounter,
    acknowledged: IntCounter,
    logins: IntCounterVec,
    limited: IntCounterVec,
    lookup_alarms: IntCounter,
    panics: IntCounter,
    exhausted: IntCounter,
    passwords_waiting: IntGauge,
    password_seconds: Histogram,
    problems: IntCounterVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    streams: IntGauge,
    opened: IntCounter,
    closed: IntCounterVec,
    commit_seconds: Histogram,
    commit_operations: Histogram,
    relay: Relayed,
    figures: Figures,
    process: process::Process,
}

impl Metrics {
    /// Creates the metrics, all at zero.
    ///
    /// # Errors
    /// [`prometheus::Error`] if two metrics had the same name, which they do not.
    pub fn new() -> Result<Self, prometheus::Error> {
        let make = Make(Registry::new());
        let codes = || ProblemCode::ALL.iter().map(|code| code.as_str());
        let limits = LimitName::ALL.iter().map(|limit| limit.rule().name);
        let closings = CloseReason::ALL.iter().map(|reason| reason.as_str());
        Ok(Self {
            accepted: make.counter("sealpost_messages_accepted_total", "Messages accepted, durable.")?,
            refused: make.counters("sealpost_messages_refused_total", "Messages refused.", "code", codes())?,
            delivered: make.counter("sealpost_rows_delivered_total", "Rows handed to sockets.")?,
            acknowledged: make.counter("sealpost_rows_acknowledged_total", "Rows acknowledged and deleted.")?,
            logins: make.counters("sealpost_logins_total", "Log-ins tried.", "outcome", ["ok", "failed"])?,
            limited: make.counters("sealpost_limited_total", "Refusals by a rate limit.", "limit", limits)?,
            panics: make.counter("sealpost_panics_total", "Panics caught: each is a bug.")?,
            lookup_alarms: make.counter(
                "sealpost_lookup_alarms_total",
                "Hours with enough refused look-ups that somebody may be listing names.",
            )?,
            exhausted: make
                .counter("sealpost_prekeys_exhausted_total", "Bundles without a one-time prekey: none was left.")?,
            passwords_waiting: make.gauge("sealpost_passwords_waiting", "Passwords that wait to be hashed.")?,
            password_seconds: make.histogram(
                "sealpost_password_seconds",
                "From asking for a password to be compared until the answer, waiting included.",
                PASSWORD_SECONDS,
            )?,
            problems: make.counters(
                "sealpost_problems_total",
                "HTTP calls answered with a problem.",
                "code",
                codes(),
            )?,
            requests: make.requests("sealpost_http_requests_total", "HTTP calls answered.", routes())?,
            request_seconds: make.histograms(
                "sealpost_http_request_seconds",
                "From the head of a request until its answer.",
                "route",
                REQUEST_SECONDS,
                routes(),
            )?,
            streams: make.gauge("sealpost_streams", "Open streams.")?,
            opened: make.counter("sealpost_streams_opened_total", "Streams that were greeted.")?,
            closed: make.counters("sealpost_streams_closed_total", "Streams that ended.", "reason", closings)?,
            commit_seconds: make.histogram(
                "sealpost_store_commit_seconds",
                "The commit of a transaction with its fsync.",
                COMMIT_SECONDS,
            )?,
            commit_operations: make.histogram(
                "sealpost_store_commit_operations",
                "Operations that shared a commit.",
                COMMIT_OPERATIONS,
            )?,
            relay: Relayed::new(&make)?,
            figures: Figures::new(&make)?,
            process: process::Process::new(&make)?,
            registry: make.0,
        })
    }

    /// Stores the figures of the whole store, taken at `now` in ms since 1970.
    pub fn looked(&self, store: &StoreFigures, files: &FileSizes, now: u64) {
        self.figures.keep(store, files, now);
    }

    /// Stores the state of the relay and its counts.
    pub fn relay_looked(&self, state: RelayState, counts: RelayCounts) {
        self.relay.keep(state, counts);
    }

    /// Returns the metrics in the text format of Prometheus, with the present number of open streams and the present
    /// resources of the process.
    #[must_use]
    pub fn render(&self, streams: usize) -> String {
        set(&self.streams, u64::try_from(streams).unwrap_or(u64::MAX));
        self.process.look();
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            text.clear();
            // Writing to a String cannot fail.
            let _never = write!(text, "# {error}");
        }
        text
    }
}

/// Returns every value of the label `route`.
fn routes() -> impl Iterator<Item = &'static str> {
    let mut paths: Vec<&str> = endpoints::all().map(|endpoint| endpoint.path).collect();
    paths.dedup();
    paths.push(UNKNOWN);
    paths.into_iter()
}

impl ServiceMetrics for Metrics {
    fn accepted(&self) {
        self.accepted.inc();
    }

    fn refused(&self, code: ProblemCode) {
        self.refused.with_label_values(&[code.as_str()]).inc();
    }

    fn delivered(&self, rows: u64) {
        self.delivered.inc_by(rows);
    }

    fn acknowledged(&self, rows: u64) {
        self.acknowledged.inc_by(rows);
    }

    fn login(&self, succeeded: bool) {
        self.logins.with_label_values(&[if succeeded { "ok" } else { "failed" }]).inc();
    }

    fn limited(&self, limit: LimitName) {
        self.limited.with_label_values(&[limit.rule().name]).inc();
    }

    fn panicked(&self) {
        self.panics.inc();
    }

    fn lookup_alarm(&self) {
        self.lookup_alarms.inc();
    }

    fn one_time_prekeys_exhausted(&self) {
        self.exhausted.inc();
    }

    fn passwords_waiting(&self, waiting: usize) {
        set(&self.passwords_waiting, u64::try_from(waiting).unwrap_or(u64::MAX));
    }

    fn password_answered(&self, took: Duration) {
        self.password_seconds.observe(took.as_secs_f64());
    }

    fn problem(&self, code: ProblemCode) {
        self.problems.with_label_values(&[code.as_str()]).inc();
    }

    fn request(&self, route: Option<&str>, status: u16, took: Duration) {
        // A pattern of actix that is not one of our routes would be an unknown label.
        let route = route.filter(|route| endpoints::all().any(|known| known.path == *route)).unwrap_or(UNKNOWN);
        let class = usize::from(status / 100).checked_sub(1).and_then(|index| CLASSES.get(index));
        self.requests.with_label_values(&[route, class.copied().unwrap_or(UNKNOWN)]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    fn stream_opened(&self) {
        self.opened.inc();
    }

    fn stream_closed(&self, reason: CloseReason) {
        self.closed.with_label_values(&[reason.as_str()]).inc();
    }
}

impl StoreObserver for Metrics {
    fn committed(&self, operations: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_operations.observe(f64::from(u32::try_from(operations).unwrap_or(u32::MAX)));
    }
}

#[cfg(test)]
mod tests;
