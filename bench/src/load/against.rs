//! `bench load --against DIR`: this build beside another one, in one run.
//!
//! Each build is measured by its own generator, because what crosses the wire may differ between them. Rounds alternate, and
//! the build that goes first changes with each, so that a machine that grows slower or faster treats both alike. What is
//! compared are medians: a ratio above 1 says that this build costs more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::Options;
use super::report::{median, number};

/// What is compared, of the measures that have it, and whether more of it is better.
const COMPARED: &[(&str, &str, bool)] = &[
    ("rate", "a second", true),
    ("server_cpu_us", "server CPU, µs", false),
    ("p50_ms", "p50 ms", false),
    ("p99_ms", "p99 ms", false),
    ("kib", "KiB each", false),
    ("hashes", "in hashes", false),
];

/// A measure, its transport and the figure of it.
type Key = (String, String, &'static str);

/// What the rounds gave for one figure.
#[derive(Default, Debug)]
struct Both {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// One line of the comparison.
#[derive(Debug)]
pub(super) struct Compared {
    key: Key,
    says: &'static str,
    ours: f64,
    theirs: f64,
    /// What this build costs, in what the other costs.
    pub(super) cost: f64,
}

/// Runs both builds in alternation, and returns the medians of each figure that both have.
///
/// # Errors
/// When a build is missing, one of its runs fails (a lost message fails it), or the two have no measure in common.
pub(super) fn compare(options: &Options, other: &Path) -> Result<Vec<Compared>> {
    let theirs = other.join("bench");
    ensure!(
        theirs.is_file(),
        "{} is missing: DIR is the folder with a build's bench and sealpost-server",
        theirs.display()
    );
    let ours = std::env::current_exe()?;
    let mut figures: BTreeMap<Key, Both> = BTreeMap::new();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        let mut order = [(&ours, true), (&theirs, false)];
        if round % 2 == 1 {
            order.reverse();
        }
        for (program, is_ours) in order {
            for (key, value) in run(options, program, is_ours)? {
                let both = figures.entry(key).or_default();
                if is_ours { both.ours.push(value) } else { both.theirs.push(value) }
            }
        }
    }
    let compared = compared(figures);
    ensure!(!compared.is_empty(), "the two builds have no measure in common");
    Ok(compared)
}

/// Measures one build once.
fn run(options: &Options, program: &PathBuf, is_ours: bool) -> Result<Vec<(Key, f64)>> {
    let mut command = Command::new(program);
    command
        .args(["load", "--json", "--repeats", "1"])
        .args(arguments(options))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command.env_remove("SEALPOST_SERVER_BINARY");
    if let Some(server) = options.rig.server_binary.as_ref().filter(|_| is_ours) {
        command.arg("--server-binary").arg(server);
    }
    let output = command.output().with_context(|| format!("{} could not be started", program.display()))?;
    if !output.status.success() {
        bail!(
            "{} failed ({}); what it measured:\n{}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let mut figures = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let object: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        let text = |name| object.get(name).and_then(Value::as_str).map(str::to_owned);
        // Lines about targets have no measure.
        let (Some(measure), Some(transport)) = (text("measure"), text("transport")) else { continue };
        for (key, ..) in COMPARED {
            if let Some(value) = object.get(*key).and_then(Value::as_f64) {
                figures.push(((measure.clone(), transport.clone(), *key), value));
            }
        }
    }
    Ok(figures)
}

/// The options that both builds are given.
fn arguments(options: &Options) -> Vec<String> {
    let names = |values: Vec<Option<clap::builder::PossibleValue>>| {
        values.into_iter().flatten().map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(",")
    };
    let rates = options.rates.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let mut arguments = vec![
        ("--measure", names(options.measure.iter().map(|kind| kind.to_possible_value()).collect())),
        ("--transport", names(options.transport.iter().map(|transport| transport.to_possible_value()).collect())),
        ("--messages", options.messages.to_string()),
        ("--pairs", options.pairs.to_string()),
        ("--window", options.window.to_string()),
        ("--rates", rates),
        ("--seconds", options.seconds.to_string()),
        ("--sockets", options.sockets.to_string()),
        ("--settle", options.settle.to_string()),
        ("--logins", options.logins.to_string()),
        ("--backlog", options.backlog.to_string()),
        ("--server-cpu", options.rig.server_cpu.to_string()),
        ("--client-cpu", options.rig.client_cpu.to_string()),
    ];
    if let Some(folder) = &options.rig.folder {
        arguments.push(("--folder", folder.display().to_string()));
    }
    if let Some(database) = &options.rig.mongodb {
        arguments.push(("--mongodb", database.clone()));
    }
    let pairs = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    pairs.chain(options.rig.unpinned.then(|| "--unpinned".to_owned())).collect()
}

fn compared(figures: BTreeMap<Key, Both>) -> Vec<Compared> {
    let of = |(key, both): (Key, Both)| {
        let (_, says, more_is_better) = COMPARED.iter().find(|(name, ..)| *name == key.2)?;
        if both.ours.is_empty() || both.theirs.is_empty() {
            return None;
        }
        let (ours, theirs) = (median(both.ours), median(both.theirs));
        let cost = if *more_is_better { theirs / ours } else { ours / theirs };
        Some(Compared { key, says, ours, theirs, cost })
    };
    figures.into_iter().filter_map(of).collect()
}

impl Compared {
    /// One object.
    pub(super) fn json(&self) -> Value {
        let (measure, transport, key) = &self.key;
        json!({
            "measure": measure, "transport": transport, "figure": key,
            "ours": self.ours, "theirs": self.theirs, "cost": self.cost,
        })
    }
}

/// The comparison in Markdown.
pub(super) fn table(lines: &[Compared], rounds: u64) -> String {
    let mut out =
        format!("| medians of {rounds} rounds | | | this build | the other | cost |\n|---|---|---|---|---|---|\n");
    for Compared { key: (measure, transport, _), says, ours, theirs, cost } in lines {
        let (ours, theirs) = (number(*ours), number(*theirs));
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {measure} | {transport} | {says} | {ours} | {theirs} | {cost:.3}× |");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(key: &'static str, ours: &[f64], theirs: &[f64]) -> Vec<Compared> {
        let both = Both { ours: ours.to_vec(), theirs: theirs.to_vec() };
        compared(BTreeMap::from([(("store".to_owned(), "ws".to_owned(), key), both)]))
    }

    #[test]
    fn medians_are_compared_and_a_higher_rate_is_a_lower_cost() {
        let cpu = lines("server_cpu_us", &[9.0, 11.0, 30.0], &[10.0, 10.0, 1.0]);
        assert_eq!((cpu[0].ours, cpu[0].theirs, cpu[0].cost), (11.0, 10.0, 1.1));
        assert_eq!(lines("rate", &[200.0], &[100.0])[0].cost, 0.5);
        assert!(
            table(&cpu, 3).contains("| store | ws | server CPU, µs | 11.0 | 10.0 | 1.100× |"),
            "{}",
            table(&cpu, 3)
        );
    }

    #[test]
    fn what_only_one_build_measures_is_not_compared() {
        assert!(lines("rate", &[1.0], &[]).is_empty());
    }
}
