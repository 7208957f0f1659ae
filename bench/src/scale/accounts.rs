//! A growing number of accounts.

use anyhow::{Context as _, Result};

use super::Options;
use super::growth::{Point, Series};
use super::operations::{CONNECTS, PAIRS, cheapest, connect, look_up, message, point};
use crate::load::plan::bar;
use crate::rig::{Rig, Transport};

/// Measures connecting, looking up and writing among this many accounts.
pub(super) async fn accounts(options: &Options) -> Result<Vec<Series>> {
    let mut costs: [Vec<Point>; 3] = Default::default();
    for size in &options.accounts {
        let mut runs: [Vec<Point>; 3] = Default::default();
        for _ in 0..options.repeats {
            let measured = at(options, *size).await?;
            runs.iter_mut().zip(measured).for_each(|(runs, point)| runs.push(point));
        }
        costs.iter_mut().zip(&runs).for_each(|(costs, runs)| costs.push(cheapest(runs)));
    }
    Ok(super::operations::series("accounts", costs))
}

async fn at(options: &Options, size: u64) -> Result<[Point; 3]> {
    bar(&format!("{size} accounts"), size).finish_and_clear();
    let people = usize::try_from(size)?.max(PAIRS.saturating_mul(3));
    let mut rig = Rig::peopled(&options.rig, Transport::Plain, people).await?;
    let known = people.min(PAIRS.saturating_mul(2).saturating_add(CONNECTS));
    rig.refresh_tokens(known).await?;
    let (pairs, others) = (PAIRS.saturating_mul(2), known);
    let connecting = connect(&rig, rig.people.get(pairs..others).context("nobody can connect")?, CONNECTS).await?;
    let looking = look_up(&rig, rig.people.first().context("nobody can look up")?).await?;
    let writing = message(&mut rig).await?;
    Ok([point(size, &[connecting]), point(size, &[looking]), point(size, &[writing])])
}
