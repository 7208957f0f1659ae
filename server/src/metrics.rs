//! The counters of [`ServiceMetrics`], kept with `prometheus` and shown on the private listener alone. No label names a person,
//! a device or an address.

use std::fmt::Write as _;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use sealpost_api::problem::ProblemCode;

use crate::service::ServiceMetrics;
use crate::service::limiter::LimitName;

/// The counters.
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
    exhausted: IntCounter,
    passwords_waiting: IntGauge,
    problems: IntCounterVec,
    connections: IntGauge,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// [`prometheus::Error`] for two metrics of one name, which there are not.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            accepted: counter("sealpost_messages_accepted_total", "Messages accepted, durable.")?,
            refused: counters("sealpost_messages_refused_total", "Messages refused.", "code")?,
            delivered: counter("sealpost_rows_delivered_total", "Rows handed to sockets.")?,
            acknowledged: counter("sealpost_rows_acknowledged_total", "Rows acknowledged and deleted.")?,
            logins: counters("sealpost_logins_total", "Log-ins tried.", "outcome")?,
            limited: counters("sealpost_limited_total", "Refusals by a rate limit.", "limit")?,
            lookup_alarms: counter(
                "sealpost_lookup_alarms_total",
                "Hours in which so many look-ups were refused that somebody may be listing names.",
            )?,
            exhausted: counter(
                "sealpost_prekeys_exhausted_total",
                "Bundles without a one-time prekey: none was left.",
            )?,
            passwords_waiting: gauge("sealpost_passwords_waiting", "Passwords that wait to be hashed.")?,
            problems: counters("sealpost_problems_total", "HTTP calls answered with a problem.", "code")?,
            connections: gauge("sealpost_streams", "Open streams.")?,
            registry,
        })
    }

    /// The text format of Prometheus, with the number of open streams as of now.
    #[must_use]
    pub fn render(&self, streams: usize) -> String {
        self.connections.set(i64::try_from(streams).unwrap_or(i64::MAX));
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            text.clear();
            // A String takes whatever is written.
            let _never = write!(text, "# {error}");
        }
        text
    }
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

    fn lookup_alarm(&self) {
        self.lookup_alarms.inc();
    }

    fn one_time_prekeys_exhausted(&self) {
        self.exhausted.inc();
    }

    fn passwords_waiting(&self, waiting: usize) {
        self.passwords_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn problem(&self, code: ProblemCode) {
        self.problems.with_label_values(&[code.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new().unwrap();
        metrics.accepted();
        metrics.refused(ProblemCode::QueueFull);
        metrics.login(false);
        let text = metrics.render(3);
        for line in [
            "sealpost_messages_accepted_total 1",
            "sealpost_messages_refused_total{code=\"queue_full\"} 1",
            "sealpost_logins_total{outcome=\"failed\"} 1",
            "sealpost_streams 3",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
    }
}
