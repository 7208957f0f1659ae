//! More and more open streams.

use anyhow::{Context as _, Result};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use tokio::task::JoinSet;

use super::Options;
use super::growth::{Point, Series};
use super::operations::{CONNECTS, PAIRS, cheapest, connect, look_up, message, point, series};
use crate::load::plan::bar;
use crate::rig::socket::Socket;
use crate::rig::{Rig, Transport};

/// Streams that are opened at once.
const AT_ONCE: usize = 64;
/// Those who write, read and connect, beside those who only have a stream open.
const BUSY: usize = 2 * PAIRS + CONNECTS;

/// Measures connecting, looking up and writing beside this number of open streams.
pub(super) async fn sockets(options: &Options, sizes: &[u64]) -> Result<Vec<Series>> {
    let mut costs: [Vec<Point>; 3] = Default::default();
    for size in sizes {
        let mut runs: [Vec<Point>; 3] = Default::default();
        for _ in 0..options.repeats {
            let measured = at(options, *size).await?;
            runs.iter_mut().zip(measured).for_each(|(runs, point)| runs.push(point));
        }
        costs.iter_mut().zip(&runs).for_each(|(costs, runs)| costs.push(cheapest(runs)));
    }
    Ok(series("open streams", costs))
}

async fn at(options: &Options, size: u64) -> Result<[Point; 3]> {
    let people = usize::try_from(size)?.saturating_add(BUSY);
    let mut rig = Rig::peopled(&options.rig, Transport::Plain, people).await?;
    rig.refresh_tokens(people).await?;
    let bar = bar(&format!("{size} streams"), size);
    let connector = rig.server.connector()?;
    let opening = rig.people.iter().skip(BUSY).enumerate().map(async |(index, person)| {
        let socket = Socket::open_idle(connector, person, index).await;
        bar.inc(1);
        socket
    });
    let open: Vec<Socket> = iter(opening).buffer_unordered(AT_ONCE).try_collect().await?;
    bar.finish_and_clear();
    // They answer the server's pings until they are dropped with the set.
    let mut idle = JoinSet::new();
    for mut socket in open {
        idle.spawn(async move {
            loop {
                socket.read().await?;
                while socket.next()?.is_some() {}
                socket.flush().await?;
            }
            #[expect(unreachable_code, reason = "names the error's type")]
            anyhow::Ok(())
        });
    }
    let connecting = connect(&rig, rig.people.get(2 * PAIRS..BUSY).context("nobody can connect")?, CONNECTS).await?;
    let looking = look_up(&rig, rig.people.first().context("nobody can look up")?).await?;
    let writing = message(&mut rig).await?;
    anyhow::ensure!(idle.try_join_next().is_none(), "an idle stream ended");
    Ok([point(size, &[connecting]), point(size, &[looking]), point(size, &[writing])])
}
