//! Conversations under kill -9: senders, receivers, followers and the server are killed in the middle of commands.

mod talk;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealpost_harness::cli::{Ended, KillAt, Person, Programs};
use serde_json::Value;

use crate::history::{Outcome, Verdict};

use crate::world::{Server, in_folder};

/// The most registrations that are killed before one is left to finish.
const REGISTRATION_KILLS_MAX: u32 = 6;
/// The time within which a registration is killed; it takes well under this.
const REGISTRATION_MILLIS: u64 = 700;
/// The most rounds of `receive` at the end, until a round brings nothing new.
const DRAIN_ROUNDS: u32 = 20;

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The fewest messages that must have been taken, in both directions together.
    pub messages: u32,
    /// The fewest kills in the middle of a command.
    pub kills: u32,
    /// The fewest kills of a sender after the server accepted and before the command ended.
    pub accepted_kills: u32,
    /// The seed of every choice.
    pub seed: u64,
}

/// The counters, shared by threads.
#[derive(Debug, Default)]
struct Counters {
    registrations: AtomicU32,
    senders: AtomicU32,
    senders_after_accept: AtomicU32,
    receivers: AtomicU32,
    followers: AtomicU32,
    servers: AtomicU32,
    done: AtomicBool,
}

impl Counters {
    fn kills(&self) -> u32 {
        [&self.registrations, &self.senders, &self.receivers, &self.followers, &self.servers]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

/// The findings of a run.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    counters: Counters,
    verdicts: Vec<(String, Verdict)>,
    /// Messages in a history that no `receive` printed.
    unprinted: usize,
    elapsed: Duration,
}

impl Report {
    /// Returns whether nothing is wrong and the plan was fulfilled.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let taken: usize = self.verdicts.iter().map(|(_, verdict)| verdict.taken).sum();
        self.verdicts.iter().all(|(_, verdict)| verdict.is_clean())
            && self.unprinted == 0
            && u32::try_from(taken).unwrap_or(u32::MAX) >= self.plan.messages
            && self.counters.kills() >= self.plan.kills
            && self.counters.senders_after_accept.load(Ordering::Relaxed) >= self.plan.accepted_kills
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        writeln!(formatter, "seed {}, {:.0} s", self.plan.seed, self.elapsed.as_secs_f64())?;
        writeln!(
            formatter,
            "{} kills: {} registrations, {} senders ({} after the server accepted), {} receivers, {} followers, {} servers",
            self.counters.kills(),
            count(&self.counters.registrations),
            count(&self.counters.senders),
            count(&self.counters.senders_after_accept),
            count(&self.counters.receivers),
            count(&self.counters.followers),
            count(&self.counters.servers),
        )?;
        for (direction, verdict) in &self.verdicts {
            writeln!(formatter, "{direction}: {verdict}")?;
        }
        writeln!(formatter, "shown in a history and printed by no receive: {}", self.unprinted)?;
        write!(formatter, "{}", if self.is_clean() { "clean" } else { "NOT clean" })
    }
}

/// Runs the scenario in a folder of its own.
///
/// # Errors
/// An error if something cannot be run at all, or a command ends in an unexpected way.
pub fn run(programs: &Programs, plan: &Plan) -> Result<Report> {
    in_folder("sealpost-torture-", Report::is_clean, |folder| run_in(programs, plan, folder))
}

fn run_in(programs: &Programs, plan: &Plan, folder: &Path) -> Result<Report> {
    let begin = Instant::now();
    let counters = Counters::default();
    let mut server = Server::start(programs, folder)?;
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let person = Person::new(name, programs, folder, &server.url, &server.ca)?;
        register(&person, &mut server, &counters, &mut rng)?;
        people.push(person);
    }
    let [alice, bob] = people.as_slice() else { bail!("there are two people") };

    let server = Mutex::new(server);
    let progress = talk::Progress::new(plan);
    let talks = std::thread::scope(|scope| {
        let alice_writes = scope.spawn(|| talk::talk(alice, bob, plan, plan.seed ^ 0xA11CE, &counters, &progress));
        let bob_writes = scope.spawn(|| talk::talk(bob, alice, plan, plan.seed ^ 0xB0B, &counters, &progress));
        let chaos = scope.spawn(|| kill_servers(&server, &counters, plan.seed));
        let talks = [alice_writes.join(), bob_writes.join()].map(|talk| talk.map_err(|_| "a thread panicked"));
        counters.done.store(true, Ordering::Relaxed);
        let chaos = chaos.join().map_err(|_| "a thread panicked");
        (talks, chaos)
    });
    let (talks, chaos) = talks;
    chaos.map_err(anyhow::Error::msg)??;
    let [alice_wrote, bob_wrote] = talks;
    let (mut alice_wrote, mut bob_wrote) =
        (alice_wrote.map_err(anyhow::Error::msg)??, bob_wrote.map_err(anyhow::Error::msg)??);

    drain(alice, &mut alice_wrote.printed)?;
    drain(bob, &mut bob_wrote.printed)?;
    drain(alice, &mut alice_wrote.printed)?;
    let (bob_shows, bob_unprinted) = shown(bob, &alice.name, &bob_wrote.printed)?;
    let (alice_shows, alice_unprinted) = shown(alice, &bob.name, &alice_wrote.printed)?;
    Ok(Report {
        plan: *plan,
        counters,
        verdicts: vec![
            ("alice → bob".to_owned(), alice_wrote.invocations.check(&bob_shows)),
            ("bob → alice".to_owned(), bob_wrote.invocations.check(&alice_shows)),
        ],
        unprinted: bob_unprinted + alice_unprinted,
        elapsed: begin.elapsed(),
    })
}

/// Registers a person while the command and the server are killed, until one registration is left to finish.
fn register(person: &Person, server: &mut Server, counters: &Counters, rng: &mut StdRng) -> Result<()> {
    for _ in 0..REGISTRATION_KILLS_MAX {
        let kill = KillAt::After(Duration::from_millis(rng.random_range(0..REGISTRATION_MILLIS)));
        if rng.random_bool(0.3) {
            let running = person.start(&["register", &person.name])?;
            std::thread::sleep(Duration::from_millis(rng.random_range(0..REGISTRATION_MILLIS)));
            server.kill()?;
            counters.registrations.fetch_add(1, Ordering::Relaxed);
            server.restart()?;
            running.finish(KillAt::Never, Duration::from_secs(120))?;
        } else if person.run(&["register", &person.name], kill)?.was_killed() {
            counters.registrations.fetch_add(1, Ordering::Relaxed);
        }
    }
    let ended = person.run(&["register", &person.name], KillAt::Never)?;
    if ended.code != Some(0) {
        bail!("{} could not register: exit {:?}", person.name, ended.code);
    }
    Ok(())
}

fn kill_servers(server: &Mutex<Server>, counters: &Counters, seed: u64) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5E4E);
    let mut next = Instant::now() + Duration::from_secs(2);
    while !counters.done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        if Instant::now() < next {
            continue;
        }
        let mut server = server.lock();
        server.kill()?;
        counters.servers.fetch_add(1, Ordering::Relaxed);
        // Sometimes at once, sometimes away long enough that commands meet a dead port.
        let away = if rng.random_bool(0.5) { 0 } else { rng.random_range(100..2_500) };
        std::thread::sleep(Duration::from_millis(away));
        server.restart()?;
        next = Instant::now() + Duration::from_millis(rng.random_range(1_500..7_000));
    }
    Ok(())
}

/// Receives until a round brings nothing new, and sends what is still in the outbox.
pub(crate) fn drain(person: &Person, printed: &mut BTreeSet<String>) -> Result<()> {
    for _ in 0..DRAIN_ROUNDS {
        let before = printed.len();
        let ended = person.run(&["receive"], KillAt::Never)?;
        if !matches!(ended.code, Some(0 | 6)) {
            bail!("{}: receive ended with {:?}", person.name, ended.code);
        }
        printed.extend(ended.lines.iter().filter_map(message_id));
        if printed.len() == before {
            return Ok(());
        }
    }
    bail!("{} still receives after {DRAIN_ROUNDS} rounds", person.name)
}

/// Returns the texts from `peer` in the history's order, and the number of them that no `receive` printed.
pub(crate) fn shown(person: &Person, peer: &str, printed: &BTreeSet<String>) -> Result<(Vec<String>, usize)> {
    let ended = person.run(&["history", peer, "--limit", "1000000"], KillAt::Never)?;
    if ended.code != Some(0) {
        bail!("{}: history ended with {:?}", person.name, ended.code);
    }
    let mut texts = Vec::new();
    let mut unprinted = 0;
    for line in ended.lines.iter().filter(|line| line.get("from").and_then(Value::as_str) == Some(peer)) {
        let text = line.get("text").and_then(Value::as_str).context("a message in the history has a text")?;
        texts.push(text.to_owned());
        if message_id(line).is_none_or(|id| !printed.contains(&id)) {
            unprinted += 1;
        }
    }
    Ok((texts, unprinted))
}

pub(crate) fn message_id(line: &Value) -> Option<String> {
    (line.get("event").and_then(Value::as_str) == Some("message"))
        .then(|| line.get("message_id").and_then(Value::as_str).map(str::to_owned))?
}

fn outcome(ended: &Ended) -> Result<Outcome> {
    if ended.has("sent") || ended.has("queued") {
        return Ok(Outcome::Taken);
    }
    match ended.code {
        None => Ok(Outcome::Unknown),
        Some(4) => Ok(Outcome::Refused),
        code => bail!("send ended with {code:?} and said neither sent nor queued"),
    }
}
