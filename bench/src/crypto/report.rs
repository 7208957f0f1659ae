//! What came out: the table, the JSON lines, the targets, and the block in the documentation.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::SetUp;
use super::measure::Measurement;
use crate::docs;

/// Agreements that beginning a session makes: DH1 to DH4 and the ratchet's first.
const INITIATE_AGREEMENTS: f64 = 5.0;
/// The ephemeral key and the first ratchet key.
const INITIATE_KEYS: f64 = 2.0;
/// Agreements that accepting one makes: DH1 to DH4 and both of the ratchet's first step.
const ACCEPT_AGREEMENTS: f64 = 6.0;
/// Our next ratchet key.
const ACCEPT_KEYS: f64 = 1.0;

/// A line of the table, in µs.
struct Row {
    name: &'static str,
    says: &'static str,
    ours: f64,
    vodozemac: Option<f64>,
    parts: Option<f64>,
}

pub(crate) struct Report {
    pub(crate) encrypt: Measurement,
    pub(crate) steady: (Measurement, Measurement),
    pub(crate) ping_pong: (Measurement, Measurement),
    pub(crate) set_up: SetUp,
}

/// A limit on a ratio of two medians of this run.
pub(crate) struct Target {
    name: &'static str,
    says: &'static str,
    ratio: f64,
    limit: f64,
    at_least: bool,
}

impl Target {
    pub(crate) fn met(&self) -> bool {
        if self.at_least { self.ratio >= self.limit } else { self.ratio <= self.limit }
    }
}

impl Report {
    /// The sum of the parts of (beginning, accepting) a session: agreements, key generations and one signature check each.
    fn parts(&self) -> (f64, f64) {
        let SetUp { agreement, key_generation, signature_check, .. } = &self.set_up;
        let (dh, key, check) = (agreement.median(), key_generation.median(), signature_check.median());
        (INITIATE_AGREEMENTS * dh + INITIATE_KEYS * key + check, ACCEPT_AGREEMENTS * dh + ACCEPT_KEYS * key + check)
    }

    pub(crate) fn targets(&self) -> [Target; 4] {
        let (initiate, accept) = self.parts();
        [
            Target {
                name: "steady",
                says: "vodozemac's time for encrypt + decrypt is at least 4 × ours",
                ratio: self.steady.1.median() / self.steady.0.median(),
                limit: 4.0,
                at_least: true,
            },
            Target {
                name: "ping_pong",
                says: "our ping-pong takes at most 1.05 × vodozemac's",
                ratio: self.ping_pong.0.median() / self.ping_pong.1.median(),
                limit: 1.05,
                at_least: false,
            },
            Target {
                name: "initiate",
                says: "beginning a session takes at most 1.1 × its parts",
                ratio: self.set_up.initiate.median() / initiate,
                limit: 1.1,
                at_least: false,
            },
            Target {
                name: "accept",
                says: "accepting a session takes at most 1.1 × its parts",
                ratio: self.set_up.accept.median() / accept,
                limit: 1.1,
                at_least: false,
            },
        ]
    }

    fn rows(&self) -> [Row; 8] {
        let (initiate, accept) = self.parts();
        let set_up = &self.set_up;
        let row = |name, says, ours: &Measurement, vodozemac: Option<&Measurement>, parts| Row {
            name,
            says,
            ours: ours.median(),
            vodozemac: vodozemac.map(Measurement::median),
            parts,
        };
        let (steady, ping_pong) = (&self.steady, &self.ping_pong);
        let (peer_initiate, peer_accept) = (Some(&set_up.peer_initiate), Some(&set_up.peer_accept));
        [
            row("encrypt", "encrypt 1 KiB", &self.encrypt, None, None),
            row("steady", "encrypt + decrypt 1 KiB, one way", &steady.0, Some(&steady.1), None),
            row("ping_pong", "a message of ping-pong", &ping_pong.0, Some(&ping_pong.1), None),
            row("initiate", "begin a session, first message", &set_up.initiate, peer_initiate, Some(initiate)),
            row("accept", "accept a session, first message", &set_up.accept, peer_accept, Some(accept)),
            row("agreement", "part: one X25519 agreement", &set_up.agreement, None, None),
            row("key_generation", "part: one key generation", &set_up.key_generation, None, None),
            row("signature_check", "part: one signature check", &set_up.signature_check, None, None),
        ]
    }

    /// Both tables, in Markdown.
    pub(crate) fn table(&self) -> String {
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        let mut out = String::from("| median µs | Sealpost | vodozemac 0.11 | sum of the parts |\n|---|---|---|---|\n");
        for Row { says, ours, vodozemac, parts, .. } in self.rows() {
            // Writing to a string can't fail.
            let _ = writeln!(out, "| {says} | {ours:.2} | {} | {} |", cell(vodozemac), cell(parts));
        }
        out.push_str("\n| target | measured | |\n|---|---|---|\n");
        for target in self.targets() {
            let verdict = if target.met() { "met" } else { "**missed**" };
            let _ = writeln!(out, "| {} | {:.2} × | {verdict} |", target.says, target.ratio);
        }
        out
    }

    pub(crate) fn print_json(&self) -> Result<()> {
        for Row { name, ours, vodozemac, parts, .. } in self.rows() {
            let row = json!({ "name": name, "ours_us": ours, "vodozemac_us": vodozemac, "parts_us": parts });
            println!("{}", serde_json::to_string(&row)?);
        }
        for target in self.targets() {
            let row = json!({
                "target": target.name,
                "ratio": target.ratio,
                "limit": target.limit,
                "met": target.met(),
            });
            println!("{}", serde_json::to_string(&row)?);
        }
        Ok(())
    }

    /// Replaces what stands between the marks in docs/performance.md.
    pub(crate) fn write_docs(&self) -> Result<()> {
        docs::rewrite("crypto", &self.table())
    }
}
