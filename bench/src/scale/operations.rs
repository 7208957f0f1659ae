//! What a user waits for, timed: connect, look-up, a message from hand to hand.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use super::growth::{Point, Series};
use crate::load::plan::{Outcome, Plan, count};
use crate::load::throughput;
use crate::rig::Rig;
use crate::rig::clock::Clock;
use crate::rig::http::Http;
use crate::rig::payload::Tally;
use crate::rig::people::Person;
use crate::rig::socket::Socket;

/// Calls at once.
const AT_ONCE: usize = 16;
/// People who write and as many who read.
pub(super) const PAIRS: usize = 32;
/// Messages from hand to hand.
const MESSAGES: u64 = 30_000;
/// People who connect.
pub(super) const CONNECTS: usize = 1_000;
/// Look-ups.
const LOOKUPS: usize = 5_000;

/// Runs at one size as the cost of one operation.
pub(super) fn point(size: u64, runs: &[Outcome]) -> Point {
    let operations = count(runs.iter().map(|run| run.messages).sum::<u64>().max(1));
    let micros =
        |time: fn(&Outcome) -> Duration| runs.iter().map(time).sum::<Duration>().as_secs_f64() * 1e6 / operations;
    Point { size, wall: micros(|run| run.elapsed.wall), cpu: micros(|run| run.elapsed.server) }
}

/// The least of each cost: what others do on the machine only adds.
pub(super) fn cheapest(points: &[Point]) -> Point {
    let least = |cost: fn(&Point) -> f64| points.iter().map(cost).fold(f64::INFINITY, f64::min);
    let size = points.first().map_or(0, |point| point.size);
    Point { size, wall: least(|point| point.wall), cpu: least(|point| point.cpu) }
}

/// These people open a stream each, and close it.
pub(super) async fn connect(rig: &Rig, people: &[Person], times: usize) -> Result<Outcome> {
    let connector = rig.server.connector()?;
    let clock = Clock::start(rig.server.pid()?)?;
    iter(people.iter().cycle().take(times).map(async |person| Socket::open(connector, person).await?.0.close().await))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    outcome(times, clock).await
}

/// One person looks others up, spread over all there are.
pub(super) async fn look_up(rig: &Rig, caller: &Person) -> Result<Outcome> {
    let step = (rig.people.len() / LOOKUPS).max(1);
    let clock = Clock::start(rig.server.pid()?)?;
    let lines = (0..AT_ONCE).map(async |line| {
        let http = Http::connect(rig.server.connector()?).await?;
        let turns = rig.people.iter().cycle().step_by(step).take(LOOKUPS).skip(line).step_by(AT_ONCE);
        for person in turns {
            let path = format!("/v1/accounts/by-name/{}", person.name);
            http.call("GET", &path, Some(caller.token()?), "").await?;
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(lines).await?;
    outcome(LOOKUPS, clock).await
}

/// The first people of the rig write to each other.
pub(super) async fn message(rig: &mut Rig) -> Result<Outcome> {
    let plan = Plan { senders: PAIRS, recipients: PAIRS, messages: MESSAGES, window: 64, doctor: None };
    let outcome = throughput::online(rig, plan).await?;
    ensure!(outcome.tally.is_clean(), "messages were lost, doubled or altered: {:?}", outcome.tally);
    Ok(outcome)
}

async fn outcome(operations: usize, clock: Clock) -> Result<Outcome> {
    Ok(Outcome { messages: u64::try_from(operations)?, elapsed: clock.stop().await?, tally: Tally::default() })
}

/// The three as series.
pub(super) fn series(work: &'static str, costs: [Vec<Point>; 3]) -> Vec<Series> {
    const OPERATIONS: [&str; 3] = ["connect", "look a name up", "a message, online"];
    let named = OPERATIONS.into_iter().zip(costs);
    named.map(|(operation, points)| Series { work, operation, points }).collect()
}
