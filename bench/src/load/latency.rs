//! Latency at fixed rates: from the time a message was due until its recipient has it.
//!
//! Open loop: a due message is not delayed by earlier ones, and a message that could not be sent in time counts its
//! wait. The generator polls its clock and its streams without a pause, so it sees both to a few µs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::plan::{Outcome, Plan, Run, groups};
use super::talk::Sender;
use super::throughput::{nothing_waits, open_recipients, open_senders};
use crate::rig::Rig;
use crate::rig::clock::Clock;
use crate::rig::payload::{Label, Tally};

/// The times of one run, ascending.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Returns the time that this share of the messages did not exceed, in ms.
    pub(crate) fn percentile_millis(&self, per_mille: usize) -> f64 {
        let place = self.0.len().saturating_sub(1).saturating_mul(per_mille).div_ceil(1_000);
        self.0.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Sends `rate` messages a second, as many as the plan has.
pub(crate) async fn latency(rig: &mut Rig, plan: Plan, rate: u64) -> Result<(Outcome, Times)> {
    rig.refresh_tokens(plan.people()).await?;
    let run = Run::new(rig, plan, &format!("latency at {rate}/s"))?;
    let (from, to) = groups(rig, plan)?;
    let senders = open_senders(rig, from).await?;
    let recipients = open_recipients(rig, &run, to).await?;
    let clock = Clock::start(rig.server.pid()?)?;
    let began = Instant::now();
    let (mut sending, mut receiving) = (JoinSet::new(), JoinSet::new());
    for recipient in recipients {
        let run = run.clone();
        receiving.spawn(async move {
            let mut times = Vec::new();
            let seen = |label: Label| times.push(began.elapsed().saturating_sub(Duration::from_nanos(label.at)));
            let tally = recipient.receive(&run, seen).await?.finish(&run).await?;
            anyhow::Ok((tally, times))
        });
    }
    let mut due = Vec::with_capacity(senders.len());
    for sender in senders {
        let (put, take) = unbounded_channel();
        due.push(put);
        sending.spawn(send_when_due(sender, run.clone(), take));
    }
    pace(&run, due, began, rate).await?;
    while let Some(sent) = sending.join_next().await {
        sent.context("a sender broke down")??;
    }
    let (mut sum, mut all) = (Tally::default(), Vec::new());
    while let Some(received) = receiving.join_next().await {
        let (tally, times) = received.context("a recipient broke down")??;
        sum = sum.and(tally);
        all.extend(times);
    }
    let elapsed = clock.stop().await?;
    run.bar.finish_and_clear();
    nothing_waits(rig, to).await?;
    all.sort_unstable();
    Ok((Outcome { messages: plan.messages, elapsed, tally: sum }, Times(all)))
}

/// Tells each sender when a message of theirs is due.
async fn pace(run: &Run, due: Vec<UnboundedSender<Label>>, began: Instant, rate: u64) -> Result<()> {
    for (number, sender) in (0..run.plan.messages).zip(due.iter().cycle()) {
        let at = number.saturating_mul(1_000_000_000) / rate.max(1);
        // Sleeping would round to whole ms. Each turn also polls every stream.
        while began.elapsed() < Duration::from_nanos(at) {
            tokio::task::yield_now().await;
        }
        sender.send(Label { number, at }).ok().context("a sender has stopped")?;
    }
    Ok(())
}

async fn send_when_due(mut sender: Sender, run: Run, mut due: UnboundedReceiver<Label>) -> Result<()> {
    let mut more = true;
    while more || sender.open > 0 {
        tokio::select! {
            label = due.recv(), if more && sender.open < run.plan.window => match label {
                Some(label) => {
                    sender.push(&run, label)?;
                    sender.socket.flush().await?;
                }
                None => more = false,
            },
            read = sender.socket.read() => {
                read?;
                sender.answers()?;
            }
        }
    }
    sender.socket.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_time_that_so_many_did_not_exceed() {
        let times = Times((1..=1_000).map(Duration::from_millis).collect());
        assert_eq!(
            [500, 990, 999, 1_000].map(|share| times.percentile_millis(share)),
            [501.0, 991.0, 1_000.0, 1_000.0]
        );
        assert!(Times(Vec::new()).percentile_millis(500).is_nan());
    }
}
