//! Our side: the same work as the peers', by the measures of `bench load`.

use anyhow::{Context as _, Result, ensure};

use super::side::{IDLE, Latency, RATE, Round, Scale};
use crate::load::idle::idle;
use crate::load::latency::latency;
use crate::load::plan::Plan;
use crate::load::throughput;
use crate::rig::{Rig, RigOptions, Transport};

/// Gives all of it to a server that is started for it. The rounds that look at idle connections start another for them.
pub(crate) async fn round(options: &RigOptions, scale: &Scale, with_idle: bool) -> Result<Round> {
    let plan = |senders, recipients, messages| -> Result<Plan> {
        let (messages, window) = (u64::try_from(messages)?, u64::try_from(scale.window)?);
        Ok(Plan { senders, recipients, messages, window, doctor: None })
    };
    let (warm, messages) = (scale.warm_up(), scale.messages);
    let stored = plan(scale.senders, scale.receivers, messages)?;
    let paired = plan(scale.pairs, scale.pairs, messages)?;
    let timed = plan(scale.pairs, scale.pairs, RATE * scale.seconds)?;
    let people = stored.people().max(paired.people());
    let mut rig = Rig::peopled(options, Transport::Plain, people).await.context("registering")?;
    let (run, _) = throughput::store(&mut rig, plan(scale.senders, scale.receivers, warm)?).await.context("warm-up")?;
    throughput::drain(&mut rig, &run).await.context("warm-up")?;
    throughput::online(&mut rig, plan(scale.pairs, scale.pairs, warm)?).await.context("warm-up")?;
    let (run, store) = throughput::store(&mut rig, stored).await.context("store")?;
    let drain = throughput::drain(&mut rig, &run).await.context("drain")?;
    let online = throughput::online(&mut rig, paired).await.context("online")?;
    let (outcome, times) = latency(&mut rig, timed, u64::try_from(RATE)?).await.context("latency")?;
    let (p50, p99) = (times.percentile_millis(500), times.percentile_millis(990));
    let latency = Latency { p50, p99, tally: outcome.tally };
    drop(rig);
    let idle = if with_idle {
        let mut rig = Rig::peopled(options, Transport::Plain, scale.idle).await.context("registering")?;
        let found = idle(&mut rig, IDLE).await.context("idle connections")?;
        ensure!(found.lost == 0, "{} of {} idle connections were lost", found.lost, found.sockets);
        Some(found.kib())
    } else {
        None
    };
    Ok(Round { store, drain, online, latency, idle })
}
