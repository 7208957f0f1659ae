//! What every server is asked for, and what it gave.

use std::time::Duration;

use sealpost_api::limits::PING_SECONDS;
use serde_json::{Value, json};

use crate::load::plan::Outcome;
use crate::rig::payload::Tally;

/// Messages a second at which latency is measured; [`Measure::says`] and the target name it.
pub(crate) const RATE: usize = 1_000;

/// How long idle connections are left alone before memory is looked at: our server pings each of them meanwhile.
pub(crate) const IDLE: Duration = Duration::from_secs(PING_SECONDS + 5);

/// How much work there is. The same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Messages that are stored and drained, and as many again from hand to hand.
    pub(crate) messages: usize,
    /// Connections that messages are stored from.
    pub(crate) senders: usize,
    /// Accounts that messages are stored for.
    pub(crate) receivers: usize,
    /// Pairs of a sender and a receiver who are both connected.
    pub(crate) pairs: usize,
    /// Messages of a sender that may be under way.
    pub(crate) window: usize,
    /// For how many seconds latency is measured, at [`RATE`].
    pub(crate) seconds: usize,
    /// Idle connections.
    pub(crate) idle: usize,
}

impl Scale {
    /// Messages that each server carries in the same ways before anything is measured, so that its files have grown and its code
    /// is warm.
    pub(crate) const fn warm_up(&self) -> usize {
        self.messages.div_ceil(2)
    }
}

/// From the moment when a message should have been sent until it was there, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    /// Half took no longer.
    pub(crate) p50: f64,
    /// One in a hundred took longer.
    pub(crate) p99: f64,
    /// What became of the messages.
    pub(crate) tally: Tally,
}

/// One round of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) store: Outcome,
    pub(crate) drain: Outcome,
    pub(crate) online: Outcome,
    pub(crate) latency: Latency,
    /// KiB of memory an idle connection, in the rounds that look at it.
    pub(crate) idle: Option<f64>,
}

/// A server, and its rounds.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) durability: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    StoreRate,
    DrainRate,
    OnlineRate,
    StoreCpu,
    DrainCpu,
    OnlineCpu,
    P50,
    P99,
    Idle,
}

impl Measure {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 9] = [
        Self::StoreRate,
        Self::DrainRate,
        Self::OnlineRate,
        Self::StoreCpu,
        Self::DrainCpu,
        Self::OnlineCpu,
        Self::P50,
        Self::P99,
        Self::Idle,
    ];

    /// What it is, with its unit.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::StoreRate => "offline store, messages/s",
            Self::DrainRate => "drain, messages/s",
            Self::OnlineRate => "online end to end, messages/s",
            Self::StoreCpu => "offline store, CPU µs a message",
            Self::DrainCpu => "drain, CPU µs a message",
            Self::OnlineCpu => "online end to end, CPU µs a message",
            Self::P50 => "p50 at 1,000 messages/s, ms",
            Self::P99 => "p99 at 1,000 messages/s, ms",
            Self::Idle => "memory an idle connection, KiB",
        }
    }

    /// Its name for scripts.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::StoreRate => "store_rate",
            Self::DrainRate => "drain_rate",
            Self::OnlineRate => "online_rate",
            Self::StoreCpu => "store_cpu_us",
            Self::DrainCpu => "drain_cpu_us",
            Self::OnlineCpu => "online_cpu_us",
            Self::P50 => "p50_ms",
            Self::P99 => "p99_ms",
            Self::Idle => "idle_kib",
        }
    }

    /// Whether more of it is better.
    pub(crate) const fn more_is_better(self) -> bool {
        matches!(self, Self::StoreRate | Self::DrainRate | Self::OnlineRate)
    }

    fn of(self, round: &Round) -> f64 {
        match self {
            Self::StoreRate => round.store.rate(),
            Self::DrainRate => round.drain.rate(),
            Self::OnlineRate => round.online.rate(),
            Self::StoreCpu => round.store.cpu_micros(),
            Self::DrainCpu => round.drain.cpu_micros(),
            Self::OnlineCpu => round.online.cpu_micros(),
            Self::P50 => round.latency.p50,
            Self::P99 => round.latency.p99,
            Self::Idle => round.idle.unwrap_or(f64::NAN),
        }
    }
}

impl Round {
    /// What was wrong with any of its messages.
    pub(crate) fn tally(&self) -> Tally {
        self.drain.tally.and(self.online.tally).and(self.latency.tally).and(self.store.tally)
    }

    fn json(&self) -> Value {
        let mut object: serde_json::Map<_, _> =
            Measure::ALL.iter().map(|measure| (measure.key().to_owned(), json!(measure.of(self)))).collect();
        // Near a million by the rate, it is the generator that bounds the rate, and not the server.
        for (key, outcome) in [("store", &self.store), ("drain", &self.drain), ("online", &self.online)] {
            object.insert(format!("{key}_generator_cpu_us"), json!(outcome.generator_micros()));
        }
        object.into()
    }
}

impl Side {
    /// The median of the rounds that have the measure.
    pub(crate) fn median(&self, measure: Measure) -> f64 {
        let values = self.rounds.iter().map(|round| measure.of(round));
        let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// What was wrong with its messages in all rounds.
    pub(crate) fn tally(&self) -> Tally {
        self.rounds.iter().map(Round::tally).fold(Tally::default(), Tally::and)
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> Value {
        let medians: serde_json::Map<_, _> =
            Measure::ALL.iter().map(|measure| (measure.key().to_owned(), json!(self.median(*measure)))).collect();
        let Tally { lost, doubled, altered } = self.tally();
        json!({
            "server": self.name,
            "version": self.version,
            "durable": self.durability,
            "medians": medians,
            "lost": lost,
            "doubled": doubled,
            "altered": altered,
            "rounds": self.rounds.iter().map(Round::json).collect::<Vec<_>>(),
        })
    }
}
