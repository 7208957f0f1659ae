//! Runs the requested measures repeatedly and computes their figures.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::idle::idle;
use super::latency::latency;
use super::logins::{logins, one_hash};
use super::plan::{Outcome, Plan, count};
use super::report::{Figure, Measure, Sample};
use super::{Kind, Options, backlog, throughput};
use crate::rig::disk::one_fsync;
use crate::rig::payload::Tally;
use crate::rig::{Rig, Transport, cores};

/// The number of queues of a backlog.
const BACKLOG_QUEUES: usize = 100;
/// The most unanswered messages of a backlog's sender.
const BACKLOG_WINDOW: u64 = 32;
/// People who log in, in turn.
const LOGIN_PEOPLE: usize = 8;
/// Open files of the generator beside its streams.
const OTHER_FILES: u64 = 256;

/// The results so far.
pub(super) struct Measures<'a> {
    options: &'a Options,
    done: Vec<Measure>,
}

impl<'a> Measures<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, done: Vec::new() }
    }

    pub(super) fn into_inner(self) -> Vec<Measure> {
        self.done
    }

    /// Runs everything that was requested; each measure for all transports, so that measures with the same figures are
    /// adjacent.
    pub(super) async fn all(&mut self) -> Result<()> {
        let transports = self.options.transport.clone();
        for transport in &transports {
            if self.wants(&[Kind::Store, Kind::Drain, Kind::Online]) {
                self.throughput(*transport).await?;
            }
            if self.wants(&[Kind::Backlog]) {
                self.backlog(*transport).await?;
            }
        }
        for transport in &transports {
            if self.wants(&[Kind::Latency]) {
                self.latency(*transport).await?;
            }
        }
        for transport in &transports {
            if self.wants(&[Kind::Idle]) {
                self.idle(*transport).await?;
            }
        }
        for transport in &transports {
            if self.wants(&[Kind::Logins]) {
                self.logins(*transport).await?;
            }
        }
        Ok(())
    }

    fn wants(&self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.options.measure.contains(kind))
    }

    fn plan(&self, messages: u64) -> Plan {
        let Options { pairs, window, doctor, .. } = *self.options;
        Plan { senders: pairs, recipients: pairs, messages, window, doctor }
    }

    fn put(&mut self, name: &str, transport: Transport, runs: Vec<Sample>) {
        let measure = Measure { name: name.to_owned(), transport, runs };
        if self.options.json {
            println!("{}", measure.json());
        }
        self.done.push(measure);
    }

    async fn throughput(&mut self, transport: Transport) -> Result<()> {
        let plan = self.plan(self.options.messages);
        let mut rig = Rig::peopled(&self.options.rig, transport, plan.people()).await?;
        let (mut stored, mut drained, mut online) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.options.repeats {
            if self.wants(&[Kind::Store, Kind::Drain]) {
                let (run, outcome) = throughput::store(&mut rig, plan).await?;
                stored.push(flow(&outcome));
                drained.push(flow(&throughput::drain(&mut rig, &run).await?));
            }
            if self.wants(&[Kind::Online]) {
                online.push(flow(&throughput::online(&mut rig, plan).await?));
            }
        }
        for (name, runs) in [("store", stored), ("drain", drained), ("online", online)] {
            if !runs.is_empty() {
                self.put(name, transport, runs);
            }
        }
        Ok(())
    }

    async fn backlog(&mut self, transport: Transport) -> Result<()> {
        let plan = Plan { recipients: BACKLOG_QUEUES, window: BACKLOG_WINDOW, ..self.plan(self.options.backlog) };
        let mut rig = Rig::peopled(&self.options.rig, transport, plan.people()).await?;
        let mut runs = Vec::new();
        for _ in 0..self.options.repeats {
            runs.push(flow(&backlog::backlog(&mut rig, plan).await?));
        }
        self.put("backlog", transport, runs);
        Ok(())
    }

    async fn latency(&mut self, transport: Transport) -> Result<()> {
        let pairs = self.plan(0);
        let mut rig = Rig::peopled(&self.options.rig, transport, pairs.people()).await?;
        for rate in &self.options.rates {
            let plan = Plan { messages: rate.saturating_mul(self.options.seconds), ..pairs };
            let mut runs = Vec::new();
            for _ in 0..self.options.repeats {
                let (outcome, times) = latency(&mut rig, plan, *rate).await?;
                let fsync = one_fsync(&rig.server.data())?;
                let figures = vec![
                    figure("p50_ms", "p50 ms", times.percentile_millis(500)),
                    figure("p99_ms", "p99 ms", times.percentile_millis(990)),
                    figure("p999_ms", "p99.9 ms", times.percentile_millis(999)),
                    figure("server_cpu_us", "server CPU, µs", outcome.cpu_micros()),
                    figure("fsync_p50_ms", "one fsync, p50 ms", fsync.0.as_secs_f64() * 1e3),
                    figure("fsync_p99_ms", "p99 ms", fsync.1.as_secs_f64() * 1e3),
                ];
                runs.push(Sample { figures, tally: outcome.tally });
            }
            self.put(&format!("latency at {rate}/s"), transport, runs);
        }
        Ok(())
    }

    async fn idle(&mut self, transport: Transport) -> Result<()> {
        let open = cores::raise_open_files()?;
        ensure!(
            u64::try_from(self.options.sockets)?.saturating_add(OTHER_FILES) <= open,
            "{open} open files are too few for {} streams; raise the limit (ulimit -n) or say --sockets",
            self.options.sockets
        );
        let mut runs = Vec::new();
        for _ in 0..self.options.repeats {
            // A new process each time, because memory that the previous run freed would be reused and not counted.
            let mut rig = Rig::peopled(&self.options.rig, transport, self.options.sockets).await?;
            let idle = idle(&mut rig, Duration::from_secs(self.options.settle)).await?;
            let figures = vec![
                figure("sockets", "streams", count(idle.sockets)),
                figure("kib", "KiB each", idle.kib()),
                figure("before_kib", "KiB before", count(idle.before / 1_024)),
                figure("after_kib", "KiB after", count(idle.after / 1_024)),
            ];
            runs.push(Sample { figures, tally: Tally { lost: idle.lost, ..Tally::default() } });
        }
        self.put("idle", transport, runs);
        Ok(())
    }

    async fn logins(&mut self, transport: Transport) -> Result<()> {
        let rig = Rig::registered(&self.options.rig, transport, LOGIN_PEOPLE).await?;
        let mut runs = Vec::new();
        for _ in 0..self.options.repeats {
            let hash = one_hash()?.as_secs_f64() * 1e3;
            let outcome = logins(&rig, self.options.logins).await?;
            let millis = outcome.cpu_micros() / 1e3;
            let figures = vec![
                figure("rate", "a second", outcome.rate()),
                figure("server_cpu_ms", "server CPU, ms", millis),
                figure("hash_ms", "one hash, ms", hash),
                figure("hashes", "in hashes", millis / hash),
            ];
            runs.push(Sample { figures, tally: outcome.tally });
        }
        self.put("log-ins", transport, runs);
        Ok(())
    }
}

const fn figure(key: &'static str, says: &'static str, value: f64) -> Figure {
    Figure { key, says, value }
}

/// Measures messages through the server.
fn flow(outcome: &Outcome) -> Sample {
    let busy = outcome.elapsed.server.as_secs_f64() / outcome.elapsed.wall.as_secs_f64() * 100.0;
    let figures = vec![
        figure("messages", "messages", count(outcome.messages)),
        figure("rate", "a second", outcome.rate()),
        figure("server_cpu_us", "server CPU, µs", outcome.cpu_micros()),
        figure("server_busy_percent", "server busy, %", busy),
        figure("generator_cpu_us", "generator CPU, µs", outcome.generator_micros()),
    ];
    Sample { figures, tally: outcome.tally }
}
