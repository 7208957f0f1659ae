//! Counts of the answers.

use std::collections::BTreeMap;
use std::fmt;

use sealpost_api::frames::ServerFrame;

use super::wire::Outcome;

/// The most samples kept of unexplained answers.
const SAMPLES_MAX: usize = 10;
/// The number of characters kept of each sample.
const SAMPLE_CHARACTERS: usize = 600;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) frames: u64,
    /// The answers by status and code.
    pub(super) answers: BTreeMap<String, u64>,
    /// Connections that the server ended without an answer, as it can where the bytes were not HTTP.
    pub(super) closed: u64,
    /// Connections that hung: nothing came back in time.
    pub(super) silent: u64,
    /// 5xx answers that are not deliberate, with the requests that provoked them.
    pub(super) unexplained: Vec<String>,
}

impl Tally {
    pub(super) const fn total(&self) -> u64 {
        self.requests.saturating_add(self.frames)
    }

    pub(super) fn request(&mut self, bytes: &[u8], outcome: &Outcome) {
        self.requests += 1;
        match outcome {
            Outcome::Closed => self.closed += 1,
            Outcome::Silent => {
                self.silent += 1;
                self.sample("no answer", bytes);
            }
            Outcome::Answer(answer) => {
                let code = answer.code.as_deref().unwrap_or("-");
                *self.answers.entry(format!("{} {code}", answer.status)).or_default() += 1;
                let deliberate = matches!((answer.status, code), (503, "busy" | "unavailable") | (507, "disk_full"));
                if answer.status >= 500 && !deliberate {
                    self.sample(&format!("{} {code}", answer.status), bytes);
                }
            }
        }
    }

    pub(super) fn frames(&mut self, count: u64, bytes: &[u8], outcome: &Outcome, heard: &[ServerFrame]) {
        self.frames += count;
        for frame in heard {
            let text = match frame {
                ServerFrame::Sent(_) => "sent".to_owned(),
                ServerFrame::Refused(refused) => refused.code.as_str().to_owned(),
                ServerFrame::Error { code, .. } => code.as_str().to_owned(),
                _ => continue,
            };
            if text == "internal" {
                self.sample("a frame refused as internal", bytes);
            }
            *self.answers.entry(format!("frame {text}")).or_default() += 1;
        }
        match outcome {
            Outcome::Answer(_) => *self.answers.entry("stream goes on".to_owned()).or_default() += 1,
            Outcome::Closed => *self.answers.entry("stream ended".to_owned()).or_default() += 1,
            Outcome::Silent => {
                self.silent += 1;
                self.sample("a stream without an answer", bytes);
            }
        }
    }

    fn sample(&mut self, what: &str, bytes: &[u8]) {
        if self.unexplained.len() < SAMPLES_MAX {
            let text: String = bytes.escape_ascii().to_string().chars().take(SAMPLE_CHARACTERS).collect();
            self.unexplained.push(format!("{what}: {text}"));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} requests and {} frames; {} connections ended without an answer, {} were silent",
            self.requests, self.frames, self.closed, self.silent
        )?;
        for (answer, count) in &self.answers {
            writeln!(formatter, "  {count:>8}  {answer}")?;
        }
        write!(formatter, "unexplained: {}", self.unexplained.len())?;
        for sample in &self.unexplained {
            write!(formatter, "\n  {sample}")?;
        }
        Ok(())
    }
}
