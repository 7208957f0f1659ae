//! The report: an object for each measure, or a table, and which targets were reached.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::rig::Transport;
use crate::rig::payload::Tally;

/// A figure of one run of a measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    /// At the head of its column.
    pub(crate) says: &'static str,
    pub(crate) value: f64,
}

/// One run of a measure.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) figures: Vec<Figure>,
    pub(crate) tally: Tally,
}

/// A measure, with the median of each figure over its runs.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) runs: Vec<Sample>,
}

impl Measure {
    /// Returns whether every message of every run arrived once and unaltered.
    pub(crate) fn is_clean(&self) -> bool {
        self.tally().is_clean()
    }

    fn tally(&self) -> Tally {
        self.runs.iter().map(|run| run.tally).fold(Tally::default(), Tally::and)
    }

    /// Returns the medians in the order of the figures.
    pub(crate) fn medians(&self) -> Vec<Figure> {
        let first = self.runs.first().map(|run| run.figures.clone()).unwrap_or_default();
        let of = |key| self.runs.iter().flat_map(move |run| run.figures.iter().filter(move |figure| figure.key == key));
        first
            .into_iter()
            .map(|figure| Figure { value: median(of(figure.key).map(|figure| figure.value).collect()), ..figure })
            .collect()
    }

    /// Returns the median of one figure.
    pub(crate) fn median(&self, key: &str) -> Option<f64> {
        self.medians().into_iter().find(|figure| figure.key == key).map(|figure| figure.value)
    }

    /// One object.
    pub(crate) fn json(&self) -> Value {
        let tally = self.tally();
        let mut object = Map::new();
        object.insert("measure".into(), json!(self.name));
        object.insert("transport".into(), json!(self.transport.scheme()));
        object.extend(self.medians().into_iter().map(|figure| (figure.key.to_owned(), json!(figure.value))));
        object.insert("lost".into(), json!(tally.lost));
        object.insert("doubled".into(), json!(tally.doubled));
        object.insert("altered".into(), json!(tally.altered));
        let runs = self.runs.iter().map(|run| run.figures.iter().map(|figure| (figure.key, figure.value)).collect());
        object.insert("runs".into(), runs.map(|run: std::collections::BTreeMap<_, _>| json!(run)).collect());
        Value::Object(object)
    }
}

/// Returns the middle one; of an even number the lower of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// A limit on a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    measure: &'static str,
    transport: Transport,
    key: &'static str,
    says: &'static str,
    limit: f64,
    at_least: bool,
}

const fn target(
    measure: &'static str,
    transport: Transport,
    key: &'static str,
    limit: f64,
    at_least: bool,
    says: &'static str,
) -> Target {
    Target { measure, transport, key, says, limit, at_least }
}

/// The targets. Ratios to a peer belong to the bench of the peers.
const TARGETS: &[Target] = &[
    target("store", Transport::Plain, "server_cpu_us", 20.0, false, "store: at most 20 µs of the server's processor"),
    target("drain", Transport::Plain, "server_cpu_us", 25.0, false, "drain: at most 25 µs"),
    target("drain", Transport::Plain, "rate", 50_000.0, true, "drain: at least 50,000 a second"),
    target("online", Transport::Plain, "server_cpu_us", 30.0, false, "online, end to end: at most 30 µs"),
    target(
        "backlog",
        Transport::Plain,
        "server_cpu_us",
        80.0,
        false,
        "a backlog larger than the caches: at most 80 µs",
    ),
    target("idle", Transport::Plain, "kib", 16.0, false, "an idle stream, plain: at most 16 KiB"),
    target("idle", Transport::Tls, "kib", 27.0, false, "an idle stream, TLS: at most 27 KiB"),
    target("idle", Transport::Plain, "kib", 4.0, false, "then, plain: at most 4 KiB"),
    target("idle", Transport::Tls, "kib", 14.0, false, "then, TLS: at most 14 KiB"),
    target("log-ins", Transport::Tls, "hashes", 1.1, false, "a log-in: at most 1.1 hashes of a password"),
];

/// A target and what was measured.
pub(crate) struct Verdict {
    pub(crate) target: &'static Target,
    pub(crate) measured: f64,
}

impl Verdict {
    /// Returns whether it is reached.
    pub(crate) fn met(&self) -> bool {
        if self.target.at_least { self.measured >= self.target.limit } else { self.measured <= self.target.limit }
    }

    /// One object.
    pub(crate) fn json(&self) -> Value {
        json!({
            "target": self.target.says,
            "measured": self.measured,
            "limit": self.target.limit,
            "met": self.met(),
        })
    }
}

/// Returns the targets for these measures.
pub(crate) fn verdicts(measures: &[Measure]) -> Vec<Verdict> {
    let of = |target: &Target| {
        let named = |measure: &&Measure| measure.name == target.measure && measure.transport == target.transport;
        measures.iter().find(named)?.median(target.key)
    };
    TARGETS.iter().filter_map(|target| Some(Verdict { target, measured: of(target)? })).collect()
}

/// Returns everything in Markdown: a table for each group of measures with the same figures, and one of the targets.
pub(crate) fn tables(measures: &[Measure], verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let head = |measure: &Measure| measure.medians().iter().map(|figure| figure.says).collect::<Vec<_>>();
    // Writing to a string cannot fail.
    for group in measures.chunk_by(|one, other| head(one) == head(other)) {
        let Some(columns) = group.first().map(head) else { continue };
        let _ = writeln!(out, "| | | {} |\n|---|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
        for measure in group {
            let cells = measure.medians().iter().map(|figure| number(figure.value)).collect::<Vec<_>>();
            let _ = writeln!(out, "| {} | {} | {} |", measure.name, measure.transport.scheme(), cells.join(" | "));
        }
        out.push('\n');
    }
    if !verdicts.is_empty() {
        out.push_str("| target | measured | |\n|---|---|---|\n");
    }
    for verdict in verdicts {
        let met = if verdict.met() { "met" } else { "**missed**" };
        let _ = writeln!(out, "| {} | {} | {met} |", verdict.target.says, number(verdict.measured));
    }
    out
}

/// Formats a figure with three significant digits and separated thousands.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        ..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => grouped(&format!("{value:.0}")),
    }
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place) % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(name: &str, values: &[f64], tally: Tally) -> Measure {
        let figure = |value| Figure { key: "server_cpu_us", says: "µs", value };
        let runs = values.iter().map(|value| Sample { figures: vec![figure(*value)], tally }).collect();
        Measure { name: name.to_owned(), transport: Transport::Plain, runs }
    }

    #[test]
    fn the_median_counts_and_so_does_every_lost_message() {
        let lost = Tally { lost: 1, ..Tally::default() };
        let measure = measure("store", &[30.0, 10.0, 19.0], lost);
        let object = measure.json();
        assert_eq!((object["server_cpu_us"].as_f64(), object["lost"].as_u64()), (Some(19.0), Some(3)));
        assert!(!measure.is_clean());
    }

    #[test]
    fn a_target_is_met_or_missed_by_what_was_measured() {
        let clean = Tally::default();
        let verdicts = verdicts(&[measure("store", &[19.0], clean), measure("online", &[31.0], clean)]);
        assert_eq!(verdicts.iter().map(Verdict::met).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn measures_with_the_same_figures_share_a_table() {
        let measures = [measure("store", &[19.0], Tally::default()), measure("online", &[31.0], Tally::default())];
        let text = tables(&measures, &verdicts(&measures));
        assert_eq!(text.matches("| | | µs |").count(), 1, "{text}");
        assert!(text.contains("| online | ws | 31.0 |"), "{text}");
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [(0.1234, "0.123"), (9.871, "9.87"), (98.71, "98.7"), (987.1, "987"), (68_123.0, "68,123")]
        {
            assert_eq!(number(value), text);
        }
    }
}
