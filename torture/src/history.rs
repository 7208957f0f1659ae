//! The checker: compares the commands that ran with what each person's history shows in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the command line reported about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command printed `sent` or `queued`: the message must be shown once.
    Taken,
    /// The command was killed before it printed anything: the message can be shown once or never.
    Unknown,
    /// The message was refused for good: it must never be shown.
    Refused,
}

/// All messages from one person to another, in the order in which the commands were run.
#[derive(Debug, Default)]
pub struct Invocations {
    outcomes: Vec<(String, Outcome)>,
}

impl Invocations {
    /// Adds a message, whose text is unique in this direction.
    pub fn add(&mut self, text: &str, outcome: Outcome) {
        self.outcomes.push((text.to_owned(), outcome));
    }

    /// Returns the number of messages with this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|(_, other)| *other == outcome).count()
    }

    /// Compares the messages with the texts in the order in which they were shown.
    #[must_use]
    pub fn check(&self, shown: &[String]) -> Verdict {
        let positions: BTreeMap<&str, usize> =
            self.outcomes.iter().enumerate().map(|(position, (text, _))| (text.as_str(), position)).collect();
        let mut verdict = Verdict { taken: self.count(Outcome::Taken), ..Verdict::default() };
        let mut seen = BTreeSet::new();
        let mut newest = None;
        for text in shown {
            let Some(position) = positions.get(text.as_str()).copied() else {
                verdict.foreign.push(text.clone());
                continue;
            };
            if !seen.insert(position) {
                verdict.doubled.push(text.clone());
                continue;
            }
            if newest.is_some_and(|newest| position < newest) {
                verdict.reordered.push(text.clone());
            }
            newest = Some(position);
        }
        for (position, (text, outcome)) in self.outcomes.iter().enumerate() {
            match (outcome, seen.contains(&position)) {
                (Outcome::Taken, false) => verdict.lost.push(text.clone()),
                (Outcome::Refused, true) => verdict.foreign.push(text.clone()),
                _ => {}
            }
        }
        verdict
    }
}

/// The findings of a check, for one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The messages that had to arrive.
    pub taken: usize,
    /// Messages that were taken and not shown.
    pub lost: Vec<String>,
    /// Messages that were shown more than once.
    pub doubled: Vec<String>,
    /// Messages that were shown after a later one.
    pub reordered: Vec<String>,
    /// Messages that were shown although they were never sent, or were refused.
    pub foreign: Vec<String>,
}

impl Verdict {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.reordered.is_empty() && self.foreign.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} taken, {} lost, {} doubled, {} reordered, {} foreign",
            self.taken,
            self.lost.len(),
            self.doubled.len(),
            self.reordered.len(),
            self.foreign.len()
        )?;
        for (what, texts) in [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("reordered", &self.reordered),
            ("foreign", &self.foreign),
        ] {
            for text in texts.iter().take(5) {
                write!(formatter, "\n  {what}: {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoked() -> Invocations {
        let mut invocations = Invocations::default();
        for (text, outcome) in
            [("1", Outcome::Taken), ("2", Outcome::Unknown), ("3", Outcome::Taken), ("4", Outcome::Refused)]
        {
            invocations.add(text, outcome);
        }
        invocations
    }

    fn check(shown: &[&str]) -> Verdict {
        invoked().check(&shown.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_unknown_one_may_be_shown_or_not() {
        assert!(check(&["1", "3"]).is_clean());
        assert!(check(&["1", "2", "3"]).is_clean());
    }

    #[test]
    fn every_planted_fault_is_found() {
        assert_eq!(check(&["1"]).lost, ["3"]);
        assert_eq!(check(&["1", "1", "3"]).doubled, ["1"]);
        assert_eq!(check(&["1", "2", "2", "3"]).doubled, ["2"]);
        assert_eq!(check(&["3", "1"]).reordered, ["1"]);
        assert_eq!(check(&["1", "3", "4"]).foreign, ["4"]);
        assert_eq!(check(&["1", "3", "5"]).foreign, ["5"]);
    }
}
