//! `bench load`: the real server over the real protocol, on a core of its own.
//!
//! Nothing is switched off: accounts, tokens, device lists, limits, quotas and durable stores are as in production, and
//! `config/load.toml` only raises the limits. A single lost, doubled or altered message fails the run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::docs;
use crate::rig::{RigOptions, Transport, cores, runtime};

mod against;
mod backlog;
pub(crate) mod idle;
pub(crate) mod latency;
mod logins;
pub(crate) mod measures;
pub(crate) mod plan;
pub(crate) mod report;
mod talk;
pub(crate) mod throughput;

use measures::Measures;

/// Options of `bench load`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
EXAMPLES
  Everything, in some 15 minutes:
      bench load
  One measure, for scripts:
      bench load --measure store,online --transport ws --json
  On MongoDB, with a tenth of the messages:
      bench load --mongodb mongodb://127.0.0.1:27017 --messages 20000
  What docs/performance.md shows:
      bench load --write
  This build beside another, in one run:
      bench load --against ../before/target/release --measure store,drain,online --transport ws")]
pub(crate) struct Options {
    #[command(flatten)]
    rig: RigOptions,
    /// What to measure [default: all; on MongoDB store,drain,online,latency, over ws].
    #[arg(long, value_delimiter = ',', value_name = "MEASURE")]
    measure: Vec<Kind>,
    /// Plain HTTP, as behind a proxy, or TLS [default: both]
    #[arg(long, value_delimiter = ',', value_name = "TRANSPORT")]
    transport: Vec<Transport>,
    /// Runs of each measure; the result is their median
    #[arg(long, default_value_t = 3, value_name = "N")]
    repeats: u64,
    /// Messages of each run of store, drain and online.
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    messages: u64,
    /// Senders, and the same number of recipients
    #[arg(long, default_value_t = 32, value_name = "N")]
    pairs: usize,
    /// The most unanswered messages of one sender
    #[arg(long, default_value_t = 64, value_name = "N")]
    window: u64,
    /// Messages a second for latency
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 5_000], value_name = "N")]
    rates: Vec<u64>,
    /// Seconds of each run of latency.
    #[arg(long, default_value_t = 10, value_name = "N")]
    seconds: u64,
    /// Idle streams.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    sockets: usize,
    /// Seconds to wait before the memory of idle streams is read; by default the server has pinged each of them by then
    #[arg(long, default_value_t = 30, value_name = "N")]
    settle: u64,
    /// Logins in each run
    #[arg(long, default_value_t = 100, value_name = "N")]
    logins: u64,
    /// Messages of the backlog: far more than the server's caches hold.
    #[arg(long, default_value_t = 400_000, value_name = "N")]
    backlog: u64,
    /// Compares this build with another: the folder of its bench and sealpost-server. Each is measured by its own bench, in
    /// alternation, and medians are compared.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["write", "doctor", "repeats"])]
    against: Option<PathBuf>,
    /// Rounds of the comparison, of which the medians count.
    #[arg(long, default_value_t = 7, requires = "against", value_name = "N")]
    rounds: u64,
    /// With --against and --check: how much more than the other build this one may cost in any figure.
    #[arg(long, default_value_t = 1.05, requires = "against", value_name = "RATIO")]
    cost_max: f64,
    /// One JSON object a measure instead of the tables.
    #[arg(long)]
    json: bool,
    /// Rewrite the tables in docs/performance.md.
    #[arg(long, conflicts_with = "unpinned")]
    write: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
    /// Falsify what arrived, to check that the bench notices
    #[arg(long, hide = true)]
    doctor: Option<Doctor>,
}

impl Options {
    /// Fills in what was not named: everything, or what applies to MongoDB.
    fn complete(mut self) -> Self {
        let on_mongodb = self.rig.mongodb.is_some();
        if self.measure.is_empty() {
            self.measure = if on_mongodb { Kind::ON_MONGODB.to_vec() } else { Kind::ALL.to_vec() };
        }
        if self.transport.is_empty() {
            self.transport = if on_mongodb { vec![Transport::Plain] } else { Transport::ALL.to_vec() };
        }
        self
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Messages are stored while the recipients are away.
    Store,
    /// The recipients connect, fetch everything and ack it.
    Drain,
    /// Both sides are connected, and send as fast as possible.
    Online,
    /// From sender to recipient at fixed rates.
    Latency,
    /// A drain after a restart, of more than the caches hold.
    Backlog,
    /// Memory of idle streams.
    Idle,
    /// Logins, compared with one hash of a password.
    Logins,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Store, Self::Drain, Self::Online, Self::Latency, Self::Backlog, Self::Idle, Self::Logins];
    /// Returns the differences of that measure.
    const ON_MONGODB: [Self; 4] = [Self::Store, Self::Drain, Self::Online, Self::Latency];
}

/// How the bench falsifies a message on its way from the server to its tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Doctor {
    /// It does not arrive.
    Lose,
    /// It arrives twice.
    Double,
    /// It arrives with other bytes.
    Alter,
}

/// Runs the bench.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!(options.repeats > 0, "--repeats must be at least 1");
    cores::pin_generator(&options.rig)?;
    cores::raise_open_files()?;
    let options = &options.clone().complete();
    ensure!(
        options.rig.mongodb.is_none() || !options.measure.contains(&Kind::Backlog),
        "backlog drops the pages of a data folder from memory, and MongoDB has none here"
    );
    if let Some(other) = &options.against {
        return against(options, other);
    }
    let mut measures = Measures::new(options);
    runtime()?.block_on(measures.all())?;
    let measures = measures.into_inner();
    let on_mongodb = options.rig.mongodb.is_some();
    // The targets are for the embedded store.
    let verdicts = if on_mongodb { Vec::new() } else { report::verdicts(&measures) };
    if !options.json {
        print!("{}", report::tables(&measures, &verdicts));
    }
    for verdict in verdicts.iter().filter(|_| options.json) {
        println!("{}", verdict.json());
    }
    let spoiled: Vec<_> = measures.iter().filter(|measure| !measure.is_clean()).collect();
    for measure in &spoiled {
        eprintln!("messages were lost, doubled or altered: {}", measure.json());
    }
    if options.write && spoiled.is_empty() {
        docs::rewrite(if on_mongodb { "load on mongodb" } else { "load" }, &report::tables(&measures, &verdicts))?;
    }
    let missed = verdicts.iter().any(|verdict| !verdict.met());
    Ok(if !spoiled.is_empty() || (options.check && missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Compares this build with another.
fn against(options: &Options, other: &Path) -> Result<ExitCode> {
    ensure!(options.rounds > 0, "--rounds must be at least 1");
    let lines = against::compare(options, other)?;
    if options.json {
        lines.iter().for_each(|line| println!("{}", line.json()));
    } else {
        print!("{}", against::table(&lines, options.rounds));
    }
    let dearer = lines.iter().any(|line| line.cost > options.cost_max);
    Ok(if options.check && dearer { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
