//! A growing number of waiting messages, in a hundred queues and in one.

use anyhow::Result;

use super::Options;
use super::growth::{Point, Series};
use super::operations::{cheapest, point};
use crate::load::plan::{Outcome, Plan};
use crate::load::throughput;
use crate::rig::{Rig, Transport};

/// Devices that write.
const SENDERS: usize = 32;
/// Messages of one sender that may be unanswered.
const WINDOW: u64 = 64;
/// The fewest messages timed at each size, if necessary in several runs, because the clock has steps of 10 ms.
const MESSAGES_MIN: u64 = 20_000;

/// Measures both.
pub(super) async fn queued(options: &Options) -> Result<Vec<Series>> {
    let mut series = grow(options, "messages in 100 queues", 100).await?;
    series.extend(grow(options, "messages in one queue", 1).await?);
    Ok(series)
}

async fn grow(options: &Options, work: &'static str, queues: usize) -> Result<Vec<Series>> {
    let (mut stores, mut drains) = (Vec::new(), Vec::new());
    for size in &options.queued {
        let plan = Plan { senders: SENDERS, recipients: queues, messages: *size, window: WINDOW, doctor: None };
        let (mut stored, mut drained) = (Vec::new(), Vec::new());
        for _ in 0..options.repeats {
            let mut rig = Rig::peopled(&options.rig, Transport::Plain, plan.people()).await?;
            let (store, drain) = fill_and_empty(&mut rig, plan).await?;
            stored.push(store);
            drained.push(drain);
        }
        stores.push(cheapest(&stored));
        drains.push(cheapest(&drained));
    }
    Ok(vec![
        Series { work, operation: "store a message", points: stores },
        Series { work, operation: "drain a message", points: drains },
    ])
}

/// Repeats until enough messages are timed.
async fn fill_and_empty(rig: &mut Rig, plan: Plan) -> Result<(Point, Point)> {
    let (mut stored, mut drained): (Vec<Outcome>, Vec<Outcome>) = (Vec::new(), Vec::new());
    for _ in 0..(MESSAGES_MIN / plan.messages.max(1)).max(1) {
        let (run, outcome) = throughput::store(rig, plan).await?;
        stored.push(outcome);
        let outcome = throughput::drain(rig, &run).await?;
        anyhow::ensure!(outcome.tally.is_clean(), "messages were lost, doubled or altered: {:?}", outcome.tally);
        drained.push(outcome);
    }
    Ok((point(plan.messages, &stored), point(plan.messages, &drained)))
}
