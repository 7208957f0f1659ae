//! As many messages as go through: into the store, out of it again, and from hand to hand.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;

use super::plan::{Outcome, Plan, Run, groups};
use super::talk::{Recipient, Sender};
use crate::rig::Rig;
use crate::rig::clock::Clock;
use crate::rig::payload::Tally;
use crate::rig::people::Person;
use crate::rig::socket::Socket;

/// How long a database may take over the last acknowledgements.
const SETTLING: Duration = Duration::from_secs(5);

/// Recipients are away: their messages are stored. Returns the run, for [`drain`].
pub(crate) async fn store(rig: &mut Rig, plan: Plan) -> Result<(Run, Outcome)> {
    rig.refresh_tokens(plan.people()).await?;
    let run = Run::new(rig, plan, "store")?;
    let senders = open_senders(rig, groups(rig, plan)?.0).await?;
    let clock = Clock::start(rig.server.pid()?)?;
    send(&run, senders).await?;
    let elapsed = clock.stop().await?;
    run.bar.finish_and_clear();
    // What was accepted is looked at when it is drained.
    Ok((run, Outcome { messages: plan.messages, elapsed, tally: Tally::default() }))
}

/// The recipients of a stored run come, take everything and ack it. Connecting counts.
pub(crate) async fn drain(rig: &mut Rig, run: &Run) -> Result<Outcome> {
    rig.refresh_tokens(run.plan.people()).await?;
    let run = Run { bar: super::plan::bar("drain", run.plan.messages), ..run.clone() };
    let recipients = groups(rig, run.plan)?.1;
    let clock = Clock::start(rig.server.pid()?)?;
    let drained = recipients.iter().enumerate().map(async |(place, person)| {
        let (socket, _) = Socket::open(rig.server.connector()?, person).await?;
        Recipient::new(socket, run.ledger(place)).drain(&run).await?.finish(&run).await
    });
    let tallies = futures_util::future::try_join_all(drained).await?;
    let elapsed = clock.stop().await?;
    run.bar.finish_and_clear();
    nothing_waits(rig, recipients).await?;
    Ok(Outcome { messages: run.plan.messages, elapsed, tally: tallies.into_iter().fold(Tally::default(), Tally::and) })
}

/// Both sides are there: from the sender's socket to the recipient's ack.
pub(crate) async fn online(rig: &mut Rig, plan: Plan) -> Result<Outcome> {
    rig.refresh_tokens(plan.people()).await?;
    let run = Run::new(rig, plan, "online")?;
    let (from, to) = groups(rig, plan)?;
    // Counted where they arrive.
    let quiet = Run { bar: indicatif::ProgressBar::hidden(), ..run.clone() };
    let senders = open_senders(rig, from).await?;
    let recipients = open_recipients(rig, &run, to).await?;
    let clock = Clock::start(rig.server.pid()?)?;
    let mut receiving = JoinSet::new();
    for recipient in recipients {
        let run = run.clone();
        receiving.spawn(async move { recipient.receive(&run, |_| {}).await?.finish(&run).await });
    }
    send(&quiet, senders).await?;
    let tally = tallied(receiving).await?;
    let elapsed = clock.stop().await?;
    run.bar.finish_and_clear();
    nothing_waits(rig, to).await?;
    Ok(Outcome { messages: plan.messages, elapsed, tally })
}

/// A stream for each of them.
pub(crate) async fn open_senders(rig: &Rig, people: &[Person]) -> Result<Vec<Sender>> {
    let mut senders = Vec::with_capacity(people.len());
    for person in people {
        let (socket, welcome) = Socket::open(rig.server.connector()?, person).await?;
        senders.push(Sender { socket, next: welcome.highest_number.0.saturating_add(1), open: 0 });
    }
    Ok(senders)
}

/// A stream for each of them, for which nothing waits.
pub(crate) async fn open_recipients(rig: &Rig, run: &Run, people: &[Person]) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::with_capacity(people.len());
    for (place, person) in people.iter().enumerate() {
        let (socket, welcome) = Socket::open(rig.server.connector()?, person).await?;
        if welcome.pending > 0 {
            bail!("{} messages of an earlier run wait", welcome.pending);
        }
        recipients.push(Recipient::new(socket, run.ledger(place)).drain(run).await?);
    }
    Ok(recipients)
}

async fn send(run: &Run, senders: Vec<Sender>) -> Result<()> {
    let mut sending = JoinSet::new();
    for (place, sender) in senders.into_iter().enumerate() {
        sending.spawn(sender.send_all(run.clone(), place));
    }
    while let Some(sent) = sending.join_next().await {
        sent.context("a sender broke down")??;
    }
    Ok(())
}

/// The sum of what the recipients found.
pub(crate) async fn tallied(mut receiving: JoinSet<Result<Tally>>) -> Result<Tally> {
    let mut sum = Tally::default();
    while let Some(tally) = receiving.join_next().await {
        sum = sum.and(tally.context("a recipient broke down")??);
    }
    Ok(sum)
}

/// What was acked is gone: nobody is offered it again.
pub(crate) async fn nothing_waits(rig: &Rig, people: &[Person]) -> Result<()> {
    if rig.server.database().is_some() {
        // A new connection makes the acks of the one before count for nothing, and the database may still be at them.
        tokio::time::sleep(SETTLING).await;
    }
    for person in people {
        let (socket, welcome) = Socket::open(rig.server.connector()?, person).await?;
        if welcome.pending > 0 {
            bail!("{} messages wait for somebody who acked them all", welcome.pending);
        }
        socket.close().await?;
    }
    Ok(())
}
