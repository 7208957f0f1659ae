//! Hostile input: requests made from the server's own OpenAPI document and frames made from the frame types, each wrong
//! in some way, over real sockets, beside two people who write to each other.
//!
//! The server must not panic, must not answer 5xx except a deliberate 503 or 507, must answer or end everything, and
//! the two people must notice nothing.

mod attacker;
mod frames;
mod honest;
mod identity;
mod requests;
mod schema;
mod tally;
mod wire;

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sealpost_harness::cli::Programs;
use serde_json::{Value, json};

use crate::world::{Server, in_folder};
use honest::Honest;
use schema::Api;
use tally::Tally;
use wire::Target;

/// The number of attackers at once, each with its own connection and account.
const ATTACKERS: u32 = 4;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of hostile requests and frames together.
    pub requests: u64,
    /// The fewest messages that the two honest people write.
    pub messages: u32,
    /// The seed of every choice. Timing is not seeded.
    pub seed: u64,
}

/// The findings of a run.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    tally: Tally,
    /// Panics, from the log and from the metrics.
    panics: (usize, u64),
    alive: bool,
    honest: Honest,
    elapsed: Duration,
}

impl Report {
    /// Returns whether nothing is wrong and the plan was fulfilled.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.alive
            && self.panics == (0, 0)
            && self.tally.unexplained.is_empty()
            && self.tally.silent == 0
            && self.tally.total() >= self.plan.requests
            && self.honest.is_clean()
    }

    /// Returns the figures for scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "clean": self.is_clean(),
            "seed": self.plan.seed,
            "seconds": self.elapsed.as_secs(),
            "requests": self.tally.requests,
            "frames": self.tally.frames,
            "answers": self.tally.answers,
            "closed": self.tally.closed,
            "silent": self.tally.silent,
            "unexplained": self.tally.unexplained,
            "panics_logged": self.panics.0,
            "panics_counted": self.panics.1,
            "server_alive": self.alive,
            "honest_taken": self.honest.taken(),
            "honest_clean": self.honest.is_clean(),
            "honest_p50_ms": millis(self.honest.percentile(50)),
            "honest_p99_ms": millis(self.honest.percentile(99)),
            "honest_p50_idle_ms": millis(self.honest.idle_median()),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = self.tally.total() as f64 / seconds;
        writeln!(formatter, "seed {}, {seconds:.0} s, {rate:.0} a second", self.plan.seed)?;
        writeln!(formatter, "{}", self.tally)?;
        writeln!(
            formatter,
            "panics: {} logged, {} counted; the server {}",
            self.panics.0,
            self.panics.1,
            if self.alive { "lives" } else { "is DEAD" }
        )?;
        writeln!(formatter, "{}", self.honest)?;
        write!(formatter, "{}", if self.is_clean() { "clean" } else { "NOT clean" })
    }
}

/// Runs the scenario in a folder of its own.
///
/// # Errors
/// An error if something cannot be run at all.
pub fn run(programs: &Programs, plan: &Plan) -> Result<Report> {
    in_folder("sealpost-hostile-", Report::is_clean, |folder| run_in(programs, plan, folder))
}

fn run_in(programs: &Programs, plan: &Plan, folder: &Path) -> Result<Report> {
    let begin = Instant::now();
    let mut server = Server::start_with(programs, folder, include_str!("../hostile.toml"))?;
    let target = Target::new(&server.url, &server.ca)?;
    let api = Api::parse(&target.document()?)?;
    let people = honest::People::register(programs, folder, &server)?;
    let tally = Arc::new(parking_lot::Mutex::new(Tally::default()));
    let attack_over = AtomicBool::new(false);

    let (attacks, honest) = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|number| {
                let (api, target, tally) = (&api, &target, Arc::clone(&tally));
                scope.spawn(move || attacker::attack(number, api, target, &tally, plan))
            })
            .collect();
        let talk = scope.spawn(|| people.talk(plan.messages, &attack_over));
        let mut shown = Instant::now();
        while attackers.iter().any(|attacker| !attacker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            if shown.elapsed() > PROGRESS_INTERVAL {
                eprintln!("{} of {} hostile requests and frames", tally.lock().total(), plan.requests);
                shown = Instant::now();
            }
        }
        attack_over.store(true, Ordering::Relaxed);
        let attacks: Vec<_> = attackers.into_iter().map(|attacker| attacker.join()).collect();
        (attacks, talk.join())
    });
    for attack in attacks {
        attack.map_err(|_| anyhow::Error::msg("an attacker panicked"))??;
    }
    let honest = honest.map_err(|_| anyhow::Error::msg("the honest thread panicked"))??;
    let counted = counted_panics(&server)?;
    let log = std::fs::read_to_string(folder.join("server.log"))?;
    let tally = std::mem::take(&mut *tally.lock());
    Ok(Report {
        plan: *plan,
        tally,
        panics: (log.matches("panicked").count(), counted),
        alive: server.is_alive()?,
        honest,
        elapsed: begin.elapsed(),
    })
}

/// Reads the server's own count of panics from its private listener.
fn counted_panics(server: &Server) -> Result<u64> {
    let address = server.private.strip_prefix("http://").context("the private listener speaks plain HTTP")?;
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find(|line| line.starts_with("sealpost_panics_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).context("the metrics do not count panics")
}
