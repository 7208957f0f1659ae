//! Creates metrics. Every value of a label is present from the start, at zero, so that a rate over a scrape is never
//! missing.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// Classes of statuses, by their first digit.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type Made<T> = Result<T, prometheus::Error>;

/// Creates metrics and registers them.
pub(super) struct Make(pub(super) Registry);

impl Make {
    fn register<T: Collector + Clone + 'static>(&self, metric: T) -> Made<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    /// Creates a gauge that is always 1 and carries its information in its label.
    pub(super) fn info(&self, name: &str, help: &str, label: &str, value: &str) -> Made<()> {
        self.register(IntGaugeVec::new(Opts::new(name, help), &[label])?)?.with_label_values(&[value]).set(1);
        Ok(())
    }

    pub(super) fn counters<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Made<IntCounterVec> {
        let counters = self.register(IntCounterVec::new(Opts::new(name, help), &[label])?)?;
        for value in values {
            counters.with_label_values(&[value]).inc_by(0);
        }
        Ok(counters)
    }

    /// Creates counters with the labels `route` and `class`.
    pub(super) fn requests<'a>(
        &self,
        name: &str,
        help: &str,
        routes: impl Iterator<Item = &'a str>,
    ) -> Made<IntCounterVec> {
        let counters = self.register(IntCounterVec::new(Opts::new(name, help), &["route", "class"])?)?;
        for route in routes {
            for class in CLASSES {
                counters.with_label_values(&[route, class]).inc_by(0);
            }
        }
        Ok(counters)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub(super) fn histograms<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
        values: impl Iterator<Item = &'a str>,
    ) -> Made<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histograms = self.register(HistogramVec::new(options, &[label])?)?;
        for value in values {
            histograms.with_label_values(&[value]);
        }
        Ok(histograms)
    }
}

/// Sets a gauge, which is an i64. No value of ours comes near its greatest one.
pub(super) fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
