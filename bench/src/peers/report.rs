//! What came out: the tables, the JSON lines, the targets, and what stands in the documentation.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::plot;
use super::side::{Measure, Scale, Side};
use crate::docs;
use crate::load::plan::count;
use crate::load::report::number;
use crate::rig::payload::Tally;

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) scale: Scale,
    /// Ours first, if it ran.
    pub(crate) sides: Vec<Side>,
    /// What a sync of the disk took in this run, in ms.
    pub(crate) fsync: f64,
}

/// A limit on what was measured.
pub(crate) struct Target {
    says: String,
    measured: f64,
    limit: f64,
    unit: &'static str,
    at_least: bool,
}

impl Target {
    /// Whether the limit is kept.
    pub(crate) fn reached(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }
}

impl Report {
    fn ours(&self) -> Option<&Side> {
        self.side("Sealpost")
    }

    fn side(&self, name: &str) -> Option<&Side> {
        self.sides.iter().find(|side| side.name == name)
    }

    /// Each target that this run can tell.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let Some(ours) = self.ours() else { return Vec::new() };
        let limit = |says: &str, measure, limit, unit, at_least| Target {
            says: says.to_owned(),
            measured: ours.median(measure),
            limit,
            unit,
            at_least,
        };
        let mut targets = vec![
            limit("offline store: at most 20 µs CPU a message", Measure::StoreCpu, 20.0, "µs", false),
            limit("drain: at least 50,000 messages/s", Measure::DrainRate, 50_000.0, "/s", true),
            limit("drain: at most 25 µs CPU a message", Measure::DrainCpu, 25.0, "µs", false),
            limit("online: at most 30 µs CPU a message", Measure::OnlineCpu, 30.0, "µs", false),
            limit("idle connection, plain: at most 16 KiB", Measure::Idle, 16.0, "KiB", false),
        ];
        if let Some(ejabberd) = self.side("ejabberd") {
            let times = |says: &str, measure, limit| Target {
                says: says.to_owned(),
                measured: ours.median(measure) / ejabberd.median(measure),
                limit,
                unit: "×",
                at_least: true,
            };
            let p99 = ejabberd.median(Measure::P99) + self.fsync;
            targets.extend([
                times("offline store: at least 30 × ejabberd's rate", Measure::StoreRate, 30.0),
                times("online: at least 7 × ejabberd's rate", Measure::OnlineRate, 7.0),
                limit(
                    &format!(
                        "p99 at 1,000 messages/s: at most ejabberd's and one sync of the disk, {} ms together",
                        short(p99)
                    ),
                    Measure::P99,
                    p99,
                    "ms",
                    false,
                ),
            ]);
        }
        targets
    }

    /// Both tables, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let cells = |first: &str, cell: &dyn Fn(&Side) -> String| {
            let cells: Vec<String> = self.sides.iter().map(cell).collect();
            format!("| {first} | {} |\n", cells.join(" | "))
        };
        let mut out = cells("", &|side| format!("{} {}", side.name, release(&side.version)));
        out.push_str(&format!("|---|{}\n", "---|".repeat(self.sides.len())));
        out.push_str(&cells("durable", &|side| side.durability.to_owned()));
        for measure in Measure::ALL {
            out.push_str(&cells(measure.says(), &|side| self.cell(side, measure)));
        }
        out.push_str(&cells("lost / doubled / altered", &|side| {
            let Tally { lost, doubled, altered } = side.tally();
            format!("{lost} / {doubled} / {altered}")
        }));
        let targets = self.targets();
        if !targets.is_empty() {
            out.push_str("\n| target | measured | |\n|---|---|---|\n");
        }
        for target in targets {
            let verdict = if target.reached() { "reached" } else { "**not reached**" };
            // Writing to a string can't fail.
            let _ = writeln!(out, "| {} | {} {} | {verdict} |", target.says, short(target.measured), target.unit);
        }
        let Scale { messages, senders, receivers, pairs, window, seconds, idle } = self.scale;
        let rounds = self.sides.first().map_or(0, |side| side.rounds.len());
        let [messages, idle] = [messages, idle].map(|many| number(count(u64::try_from(many).unwrap_or(u64::MAX))));
        let _ = writeln!(
            out,
            "\nThe median of {rounds} rounds, of memory one. {messages} messages of 1 KiB: from {senders} connections into \
             {receivers} queues, out of them again, and between {pairs} pairs with {window} under way each, after half as many that \
             are not measured. Latency for {seconds} \
             s. {idle} idle connections. A sync of the disk took {} ms. In brackets: how many times better Sealpost is.",
            short(self.fsync)
        );
        out
    }

    /// The median, and for a peer how many times better ours is.
    fn cell(&self, side: &Side, measure: Measure) -> String {
        let value = side.median(measure);
        let shown = short(value);
        match self.ours().filter(|ours| ours.name != side.name) {
            None => shown,
            Some(ours) => {
                let ours = ours.median(measure);
                let better = if measure.more_is_better() { ours / value } else { value / ours };
                format!("{shown} ({} ×)", short(better))
            }
        }
    }

    /// One object a server, and one a target.
    pub(crate) fn print_json(&self) -> Result<()> {
        for side in &self.sides {
            println!("{}", serde_json::to_string(&side.json())?);
        }
        for target in self.targets() {
            let row = json!({
                "target": target.says,
                "measured": target.measured,
                "limit": target.limit,
                "unit": target.unit,
                "reached": target.reached(),
            });
            println!("{}", serde_json::to_string(&row)?);
        }
        Ok(())
    }

    /// Fails if a message of ours was lost, doubled or altered. With the peers, that is a finding.
    pub(crate) fn demand_ours(&self) -> Result<()> {
        let tally = self.ours().map(Side::tally).unwrap_or_default();
        let Tally { lost, doubled, altered } = tally;
        ensure!(tally.is_clean(), "Sealpost: {lost} messages lost, {doubled} doubled, {altered} altered");
        Ok(())
    }

    /// Rewrites the tables in performance.md, and the plot beside it.
    pub(crate) fn write(&self) -> Result<()> {
        docs::rewrite("peers", &self.tables())?;
        let path = docs::folder().join("peers.svg");
        std::fs::write(&path, plot::svg(&self.sides)).with_context(|| format!("writing {}", path.display()))
    }
}

/// A version without what Debian adds to it.
fn release(version: &str) -> &str {
    version.split(['-', '+']).next().unwrap_or(version)
}

/// With three digits that count, or a dash for what wasn't measured.
pub(crate) fn short(value: f64) -> String {
    if value.is_finite() { number(value) } else { "–".to_owned() }
}
