//! One person's side, which writes, reads and follows, and is killed now and then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Counters, Plan, message_id, outcome};
use crate::history::{Invocations, Outcome};
use sealpost_harness::cli::{Ended, KillAt, Person, Running};

/// The number of commands for which one follower owns the profile.
const FOLLOWED_COMMANDS: u32 = 25;

/// The progress of both sides.
#[derive(Debug)]
pub(super) struct Progress {
    taken: AtomicU32,
    total: u32,
}

impl Progress {
    pub(super) const fn new(plan: &Plan) -> Self {
        Self { taken: AtomicU32::new(0), total: plan.messages }
    }

    fn another(&self) {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken.is_multiple_of(50) {
            eprintln!("{taken} of {} messages taken", self.total);
        }
    }
}

/// What one person did.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) invocations: Invocations,
    /// Message ids that `receive` printed.
    pub(super) printed: BTreeSet<String>,
}

/// Writes to `peer` until this side has fulfilled its share of the plan.
pub(super) fn talk(
    person: &Person,
    peer: &Person,
    plan: &Plan,
    seed: u64,
    counters: &Counters,
    progress: &Progress,
) -> Result<Talk> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut talk = Talk::default();
    let mut follower: Option<(Running, u32)> = None;
    let mut number = 0_u32;
    let share = plan.messages.div_ceil(2) as usize;
    // Both sides go on until the kills are reached, so that the figures of the plan hold.
    while talk.invocations.count(Outcome::Taken) < share
        || (counters.kills() < plan.kills
            || counters.senders_after_accept.load(Ordering::Relaxed) < plan.accepted_kills)
    {
        if number > plan.messages.saturating_mul(4) {
            bail!("the plan's kills are not reached: {} of {}", counters.kills(), plan.kills);
        }
        follower = match follower.take() {
            Some((running, left)) => keep_following(running, left, &mut talk, counters, &mut rng)?,
            None if rng.random_bool(0.04) => Some((person.start(&["receive", "--follow"])?, FOLLOWED_COMMANDS)),
            None => None,
        };
        if follower.is_none() && rng.random_bool(0.12) {
            receive(person, &mut talk, counters, &mut rng)?;
        }
        number += 1;
        let text = format!("{} to {}, number {number}", person.name, peer.name);
        let ended = person.run(&["send", &peer.name, &text], send_kill(&mut rng))?;
        if ended.was_killed() {
            counters.senders.fetch_add(1, Ordering::Relaxed);
            if ended.has("sent") {
                counters.senders_after_accept.fetch_add(1, Ordering::Relaxed);
            }
        }
        let outcome = outcome(&ended)?;
        talk.invocations.add(&text, outcome);
        if outcome == Outcome::Taken {
            progress.another();
        }
    }
    if let Some((running, _)) = follower {
        let ended = running.kill()?;
        note(&ended, &mut talk);
    }
    Ok(talk)
}

fn send_kill(rng: &mut StdRng) -> KillAt {
    if rng.random_bool(0.05) {
        KillAt::After(Duration::from_millis(rng.random_range(0..600)))
    } else if rng.random_bool(0.06) {
        KillAt::Event("sent")
    } else {
        KillAt::Never
    }
}

fn receive(person: &Person, talk: &mut Talk, counters: &Counters, rng: &mut StdRng) -> Result<()> {
    let kill = if rng.random_bool(0.25) {
        KillAt::After(Duration::from_millis(rng.random_range(0..700)))
    } else {
        KillAt::Never
    };
    let ended = person.run(&["receive"], kill)?;
    note(&ended, talk);
    match ended.code {
        None => {
            counters.receivers.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        // 3 and 6: the server can be dead at this moment.
        Some(0 | 3 | 6) => Ok(()),
        code => bail!("{}: receive ended with {code:?}", person.name),
    }
}

fn keep_following(
    mut running: Running,
    left: u32,
    talk: &mut Talk,
    counters: &Counters,
    rng: &mut StdRng,
) -> Result<Option<(Running, u32)>> {
    if left > 0 && !rng.random_bool(0.04) && !running.has_ended()? {
        return Ok(Some((running, left - 1)));
    }
    let ended = running.kill()?;
    if ended.was_killed() {
        counters.followers.fetch_add(1, Ordering::Relaxed);
    }
    note(&ended, talk);
    Ok(None)
}

fn note(ended: &Ended, talk: &mut Talk) {
    talk.printed.extend(ended.lines.iter().filter_map(message_id));
}
