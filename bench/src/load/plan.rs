//! The plan of a run: who writes to whom and how much, and the result.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sealpost_api::limits::IN_FLIGHT_MAX;
use sealpost_crypto::DeviceAddress;

use super::Doctor;
use crate::rig::Rig;
use crate::rig::clock::Elapsed;
use crate::rig::payload::{Ledger, Payloads, Tally};
use crate::rig::people::Person;

/// A number of messages between two groups of people. Message `k` goes from sender `k mod senders` to recipient
/// `k mod recipients`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) senders: usize,
    pub(crate) recipients: usize,
    pub(crate) messages: u64,
    /// The most unanswered messages of one sender.
    pub(crate) window: u64,
    /// Falsifies what arrived.
    pub(crate) doctor: Option<Doctor>,
}

impl Plan {
    /// Returns the number of people that it needs.
    pub(crate) fn people(&self) -> usize {
        self.senders.saturating_add(self.recipients)
    }
}

/// One run of a plan: its people, its messages and its progress.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) payloads: Payloads,
    pub(crate) senders: Arc<[DeviceAddress]>,
    pub(crate) recipients: Arc<[DeviceAddress]>,
    pub(crate) bar: ProgressBar,
}

impl Run {
    /// Creates a run of this plan with the first of the rig's people.
    pub(crate) fn new(rig: &Rig, plan: Plan, what: &str) -> Result<Self> {
        if plan.window >= IN_FLIGHT_MAX || plan.window == 0 {
            bail!("a device may have at least 1 and fewer than {IN_FLIGHT_MAX} messages in flight");
        }
        let addresses = |people: &[Person]| people.iter().map(|person| person.address).collect::<Arc<[_]>>();
        let (senders, recipients) = groups(rig, plan)?;
        Ok(Self {
            plan,
            payloads: Payloads::new(),
            senders: addresses(senders),
            recipients: addresses(recipients),
            bar: bar(what, plan.messages),
        })
    }

    /// Returns the sender of a message.
    pub(crate) fn sender(&self, number: u64) -> Option<&DeviceAddress> {
        self.senders.get(place(number, self.plan.senders))
    }

    /// Returns the recipient of a message.
    pub(crate) fn recipient(&self, number: u64) -> Option<&DeviceAddress> {
        self.recipients.get(place(number, self.plan.recipients))
    }

    /// Creates the empty tally of one recipient.
    pub(crate) fn ledger(&self, recipient: usize) -> Ledger {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ledger::new(count(recipient), count(self.plan.recipients), self.plan.messages)
    }
}

/// Returns the rig's senders and recipients under this plan.
pub(crate) fn groups(rig: &Rig, plan: Plan) -> Result<(&[Person], &[Person])> {
    let people = rig.people.get(..plan.people()).context("the rig has too few people for this plan")?;
    people.split_at_checked(plan.senders).context("there are fewer people than senders")
}

fn place(number: u64, of: usize) -> usize {
    let of = u64::try_from(of).unwrap_or(u64::MAX).max(1);
    usize::try_from(number % of).unwrap_or(usize::MAX)
}

/// Shows progress at a terminal.
pub(crate) fn bar(what: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    if bar.is_hidden() {
        eprintln!("{what} …");
    }
    bar
}

/// The result of a measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) elapsed: Elapsed,
    pub(crate) tally: Tally,
}

impl Outcome {
    /// Messages a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.messages) / self.elapsed.wall.as_secs_f64()
    }

    /// Processor time of the server, in µs a message.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.each(self.elapsed.server)
    }

    /// The same of the generator.
    pub(crate) fn generator_micros(&self) -> f64 {
        self.each(self.elapsed.generator)
    }

    fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / count(self.messages.max(1))
    }
}

/// Converts a count to a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2⁵³")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}
