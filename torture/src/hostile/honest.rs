//! Two people at the command line who write to each other while the server is attacked.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sealpost_harness::cli::{KillAt, Person, Programs};

use crate::history::{Invocations, Outcome, Verdict};
use crate::kill::{drain, message_id, shown};
use crate::world::Server;

/// The number of messages before the attack, which show what is usual on this machine.
const IDLE_MESSAGES: usize = 6;

/// The two registered people.
pub(super) struct People {
    alice: Person,
    bob: Person,
    idle: Vec<Duration>,
    from_alice: Invocations,
}

/// What they experienced.
#[derive(Debug)]
pub(super) struct Honest {
    verdicts: Vec<(&'static str, Verdict)>,
    /// Messages that a history shows and no `receive` printed.
    unprinted: usize,
    /// The durations of the `send` commands, sorted, each until the server's accept.
    times: Vec<Duration>,
    idle: Vec<Duration>,
}

impl Honest {
    pub(super) fn is_clean(&self) -> bool {
        self.unprinted == 0 && self.verdicts.iter().all(|(_, verdict)| verdict.is_clean() && verdict.taken > 0)
    }

    pub(super) fn taken(&self) -> usize {
        self.verdicts.iter().map(|(_, verdict)| verdict.taken).sum()
    }

    pub(super) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.times, percent)
    }

    pub(super) fn idle_median(&self) -> Duration {
        percentile(&self.idle, 50)
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = sorted.len().saturating_sub(1).saturating_mul(percent) / 100;
    sorted.get(place).copied().unwrap_or_default()
}

impl fmt::Display for Honest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (direction, verdict) in &self.verdicts {
            writeln!(formatter, "{direction}: {verdict}")?;
        }
        write!(
            formatter,
            "an honest send took p50 {} ms, p99 {} ms under attack (p50 {} ms before it)",
            self.percentile(50).as_millis(),
            self.percentile(99).as_millis(),
            self.idle_median().as_millis()
        )
    }
}

impl People {
    /// Registers both, and lets them write a little before the attack.
    pub(super) fn register(programs: &Programs, folder: &Path, server: &Server) -> Result<Self> {
        let register = |name: &str| -> Result<Person> {
            let person = Person::new(name, programs, folder, &server.url, &server.ca)?;
            let ended = person.run(&["register", name], KillAt::Never)?;
            if ended.code != Some(0) {
                bail!("{name} could not register: exit {:?}", ended.code);
            }
            Ok(person)
        };
        let (alice, bob) = (register("alice")?, register("bob")?);
        let mut people = Self { alice, bob, idle: Vec::new(), from_alice: Invocations::default() };
        let mut invocations = Invocations::default();
        for number in 0..IDLE_MESSAGES {
            people.idle.push(write(
                &people.alice,
                &people.bob,
                &format!("before the attack, {number}"),
                &mut invocations,
            )?);
        }
        people.idle.sort();
        people.from_alice = invocations;
        Ok(people)
    }

    /// Lets both write in turn, at least the given number of messages and until the attack is over. Then everything
    /// must have arrived.
    pub(super) fn talk(self, messages: u32, over: &AtomicBool) -> Result<Honest> {
        let Self { alice, bob, idle, mut from_alice } = self;
        let (mut from_bob, mut times) = (Invocations::default(), Vec::new());
        let (mut alice_printed, mut bob_printed) = (BTreeSet::new(), BTreeSet::new());
        let mut number = 0;
        while number < messages || !over.load(Ordering::Relaxed) {
            times.push(write(&alice, &bob, &format!("alice's number {number}"), &mut from_alice)?);
            times.push(write(&bob, &alice, &format!("bob's number {number}"), &mut from_bob)?);
            receive(&bob, &mut bob_printed)?;
            receive(&alice, &mut alice_printed)?;
            number += 2;
        }
        drain(&alice, &mut alice_printed)?;
        drain(&bob, &mut bob_printed)?;
        drain(&alice, &mut alice_printed)?;
        let (bob_shows, bob_unprinted) = shown(&bob, &alice.name, &bob_printed)?;
        let (alice_shows, alice_unprinted) = shown(&alice, &bob.name, &alice_printed)?;
        times.sort();
        Ok(Honest {
            verdicts: vec![
                ("alice → bob", from_alice.check(&bob_shows)),
                ("bob → alice", from_bob.check(&alice_shows)),
            ],
            unprinted: bob_unprinted + alice_unprinted,
            times,
            idle,
        })
    }
}

/// Sends one message, which the server must accept; queueing it for later is not enough.
fn write(from: &Person, to: &Person, text: &str, invocations: &mut Invocations) -> Result<Duration> {
    let begin = Instant::now();
    let ended = from.run(&["send", &to.name, text], KillAt::Never)?;
    let elapsed = begin.elapsed();
    if ended.code != Some(0) || !ended.has("sent") {
        bail!("{}: an honest message was not accepted: exit {:?}, {:?}", from.name, ended.code, ended.lines);
    }
    invocations.add(text, Outcome::Taken);
    Ok(elapsed)
}

fn receive(person: &Person, printed: &mut BTreeSet<String>) -> Result<()> {
    let ended = person.run(&["receive"], KillAt::Never)?;
    if ended.code != Some(0) {
        bail!("{}: receive ended with {:?}", person.name, ended.code);
    }
    printed.extend(ended.lines.iter().filter_map(message_id));
    Ok(())
}
