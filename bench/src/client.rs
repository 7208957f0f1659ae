//! `bench client`: the cost of the command-line client, against a real server and with a real profile.
//!
//! All files are in memory if the system has a folder for that (`/dev/shm`), so that the figures contain no waiting for
//! a disk. Processor times are those of the whole process, minus those of the same command with nothing to do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use clap::Args;
use sealpost_client::vault::KdfParameters;
use sealpost_harness::cli::{Ended, KillAt, Person, Programs};
use sealpost_torture::world::Server;
use serde_json::json;

use crate::docs;

/// A folder in memory.
const MEMORY: &str = "/dev/shm";
/// The unit of processor times in `/proc`.
const TICK_MILLIS: u64 = 10;
/// The targets: microseconds of processor time for each message, and milliseconds from start to "sent".
const MESSAGE_MICROS: f64 = 150.0;
const SENT_MILLIS: f64 = 150.0;

/// Options of `bench client`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
EXAMPLES
  What docs/performance.md shows (needs `cargo build --release --workspace --bins`):
      bench client --write")]
pub(crate) struct Options {
    /// The folder with sealpost and sealpost-server [default: this program's].
    #[arg(long, env = "SEALPOST_TEST_PROGRAMS", value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Messages to send and to receive.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    messages: usize,
    /// Starts of the client; the result is their median
    #[arg(long, default_value_t = 11, value_name = "N")]
    starts: usize,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Rewrite the table in docs/performance.md.
    #[arg(long)]
    write: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
}

/// The results.
struct Figures {
    /// Microseconds of processor time of one message.
    send: f64,
    receive: f64,
    /// Milliseconds from start to end of one `send`.
    start_to_sent: f64,
    /// Milliseconds of the vault's key derivation within it.
    key_derivation: f64,
}

/// Runs the bench.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!(options.messages > 0 && options.starts > 0, "--messages and --starts must be at least 1");
    let figures = measure(options)?;
    if options.json {
        println!("{}", figures.json());
    } else {
        print!("{}", figures.table());
    }
    if options.write {
        docs::rewrite("client", &figures.table())?;
    }
    Ok(if options.check && !figures.met() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(options: &Options) -> Result<Figures> {
    let programs = Programs::find(options.programs.clone())?;
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("sealpost-bench-");
    let folder = if Path::new(MEMORY).is_dir() { builder.tempdir_in(MEMORY) } else { builder.tempdir() }?;
    // The limits that people meet are per pair, and these two write more than people do.
    let server = Server::start_with(&programs, folder.path(), include_str!("../config/load.toml"))?;
    let person = |name: &str| Person::new(name, &programs, folder.path(), &server.url, &server.ca);
    let (alice, bob) = (person("alice")?, person("bobby")?);
    for person in [&alice, &bob] {
        done(person.run(&["register", &person.name], KillAt::Never)?)?;
    }
    // Both have written and read, so that no session has to be started.
    for (from, to) in [(&alice, &bob), (&bob, &alice), (&alice, &bob)] {
        done(from.run(&["send", &to.name, "warm"], KillAt::Never)?)?;
        done(to.run(&["receive"], KillAt::Never)?)?;
    }

    let key_derivation = key_derivation(options.starts)?;
    let mut starts = Vec::new();
    for _ in 0..options.starts {
        let begin = Instant::now();
        done(alice.run(&["send", "bobby", "hello"], KillAt::Never)?)?;
        starts.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    done(bob.run(&["receive"], KillAt::Never)?)?;

    let lines = |count: usize| (0..count).fold(String::new(), |lines, number| lines + &format!("{number:01000}\n"));
    let chat = |count: usize| of_children(|| alice.run_with_input(&["chat", "bobby"], &lines(count)));
    let receive = || of_children(|| bob.run(&["receive"], KillAt::Never));
    let (idle_chat, _) = chat(1)?;
    receive()?;
    let (idle_receive, _) = receive()?;
    let (sending, sent) = chat(options.messages + 1)?;
    let (receiving, received) = receive()?;
    for (ended, event) in [(&sent, "sent"), (&received, "message")] {
        let count = ended.lines.iter().filter(|line| line.get("event").and_then(|event| event.as_str()) == Some(event));
        let count = count.count();
        ensure!(count == options.messages + 1, "{count} of {} messages were {event}", options.messages + 1);
    }
    let each = |all: Duration, idle: Duration| all.saturating_sub(idle).as_secs_f64() * 1e6 / options.messages as f64;
    Ok(Figures {
        send: each(sending, idle_chat),
        receive: each(receiving, idle_receive),
        start_to_sent: median(starts),
        key_derivation,
    })
}

fn done(ended: Ended) -> Result<Ended> {
    ensure!(ended.code == Some(0), "a command failed: {:?}", ended.lines.last());
    Ok(ended)
}

/// Runs a command, and returns its outcome and its processor time.
fn of_children(run: impl FnOnce() -> Result<Ended>) -> Result<(Duration, Ended)> {
    let before = children_time()?;
    let ended = done(run()?)?;
    Ok((children_time()?.saturating_sub(before), ended))
}

fn children_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("/proc/self/stat cannot be read")?;
    // After the name, the 14th and 15th fields are the times of children that were waited for, in ticks.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks.saturating_mul(TICK_MILLIS)))
}

/// Measures one key derivation, as when a vault under a passphrase is opened, in milliseconds.
fn key_derivation(repeats: usize) -> Result<f64> {
    let cost = KdfParameters::default();
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut times = Vec::new();
    for _ in 0..repeats {
        let (begin, mut key) = (Instant::now(), [0; 32]);
        let derived = argon2.hash_password_into(b"a passphrase of their own", &[7; 16], &mut key);
        derived.map_err(|error| anyhow::anyhow!("{error}"))?;
        std::hint::black_box(key);
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(times))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl Figures {
    fn start_less_derivation(&self) -> f64 {
        self.start_to_sent - self.key_derivation
    }

    fn met(&self) -> bool {
        self.send <= MESSAGE_MICROS && self.receive <= MESSAGE_MICROS && self.start_less_derivation() <= SENT_MILLIS
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "measure": "client",
            "send_cpu_us": self.send,
            "receive_cpu_us": self.receive,
            "start_to_sent_ms": self.start_to_sent,
            "key_derivation_ms": self.key_derivation,
            "targets_met": self.met(),
        })
    }

    fn table(&self) -> String {
        let mut table = String::from("| the client | measured | target |\n|---|---|---|\n");
        let mut row = |what: &str, value: f64, unit: &str, target: f64| {
            let verdict = if value <= target { "reached" } else { "missed" };
            // Writing to a string does not fail.
            let _ = writeln!(table, "| {what} | {value:.0} {unit} | at most {target:.0} {unit}: {verdict} |");
        };
        row("sending one message of 1 KB, processor time", self.send, "µs", MESSAGE_MICROS);
        row("receiving one, processor time", self.receive, "µs", MESSAGE_MICROS);
        row("from start to \"sent\", without the key derivation", self.start_less_derivation(), "ms", SENT_MILLIS);
        let _ = writeln!(table, "| the key derivation of the vault | {:.0} ms | |", self.key_derivation);
        table
    }
}
