//! `bench peers`: the same work for our server and for common alternatives, on the same core in one run.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

mod client;
mod daemon;
mod ours;
mod plot;
mod report;
mod side;
mod tally;
mod wire;
mod work;

use daemon::{Daemon, PEERS, Peer};
use report::Report;
use side::{Scale, Side};

use crate::rig::disk::one_fsync;
use crate::rig::{RigOptions, cores, runtime};

/// Options of `bench peers`.
#[derive(Args)]
#[command(after_help = "\
The peers come from Debian; stop the services that installing them starts:
  apt-get install ejabberd prosody mosquitto

EXAMPLES
  Everything, in some 20 minutes:
      bench peers
  One peer, quickly, for scripts:
      bench peers --only ours,ejabberd --rounds 1 --messages 5000 --json
  What docs/performance.md shows:
      bench peers --write")]
pub(crate) struct Options {
    #[command(flatten)]
    rig: RigOptions,
    /// The servers to run [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Name>,
    /// Rounds, each with every server freshly started; the results are medians
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Messages that are stored and drained, and the same number sent online
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    messages: usize,
    /// One JSON object a server instead of the tables.
    #[arg(long)]
    json: bool,
    /// Rewrite the tables in docs/performance.md and the plot docs/peers.svg.
    #[arg(long, conflicts_with_all = ["unpinned", "only"])]
    write: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
}

/// The servers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Sealpost.
    Ours,
    /// ejabberd, from Debian.
    Ejabberd,
    /// prosody, from Debian.
    Prosody,
    /// mosquitto, from Debian, keeping messages in memory.
    Mosquitto,
    /// mosquitto, from Debian, saving at every change.
    MosquittoSynced,
}

impl Name {
    /// Returns the peer, or `None` for our own server.
    fn peer(self) -> Option<&'static Peer> {
        let name = self.to_possible_value()?;
        PEERS.iter().find(|peer| peer.name == name.get_name())
    }
}

/// Runs the bench.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let names = if options.only.is_empty() { Name::value_variants() } else { &options.only };
    let mut sides = Vec::new();
    for name in names {
        sides.push((name.peer(), side(name.peer())?));
    }
    cores::pin_generator(&options.rig)?;
    cores::raise_open_files()?;
    let scale = Scale {
        messages: options.messages,
        senders: 32,
        receivers: 100,
        pairs: 32,
        window: 64,
        seconds: 10,
        idle: 2_000,
    };
    let fsync = runtime()?.block_on(async {
        tokio::select! {
            // Dropping the running servers ends them.
            stop = stopped() => stop.and(Err(anyhow::anyhow!("stopped before the end; no server was left running"))),
            done = rounds(options, &scale, &mut sides) => done,
        }
    })?;
    let report = Report { scale, sides: sides.into_iter().map(|(_, side)| side).collect(), fsync };
    if options.json {
        report.print_json()?;
    } else {
        print!("{}", report.tables());
    }
    if options.write {
        report.write()?;
    }
    report.demand_ours()?;
    let missed = report.targets().iter().any(|target| !target.reached());
    Ok(if options.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn side(peer: Option<&'static Peer>) -> Result<Side> {
    Ok(match peer {
        None => Side {
            name: "Sealpost",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            durability: "yes: synced before the answer",
            rounds: Vec::new(),
        },
        Some(peer) => {
            Side { name: peer.name, version: peer.version()?, durability: peer.durability, rounds: Vec::new() }
        }
    })
}

/// Runs all rounds. The servers take turns, so that disturbances affect all alike. Returns the time of a sync of the
/// disk meanwhile, in ms.
async fn rounds(options: &Options, scale: &Scale, sides: &mut [(Option<&'static Peer>, Side)]) -> Result<f64> {
    let place = options.rig.folder.clone().unwrap_or_else(std::env::temp_dir);
    let mut fsyncs = Vec::new();
    for round in 1..=options.rounds {
        // Memory hardly differs between rounds and takes longest.
        let with_idle = round == 1;
        for (peer, side) in &mut *sides {
            eprintln!("round {round} of {}: {} …", options.rounds, side.name);
            let began = Instant::now();
            let result = match peer {
                None => ours::round(&options.rig, scale, with_idle).await,
                Some(peer) => work::round(Daemon::start(&options.rig, peer)?, scale, with_idle).await,
            };
            side.rounds.push(result.with_context(|| format!("round {round} of {}", side.name))?);
            eprintln!("… took {} s", began.elapsed().as_secs());
        }
        fsyncs.push(one_fsync(&place)?.0);
    }
    fsyncs.sort_unstable();
    Ok(fsyncs.get(fsyncs.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3))
}

/// Waits until the bench is asked to stop.
async fn stopped() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Name, PEERS};

    #[test]
    fn every_peer_has_a_name_on_the_command_line() {
        let peers: Vec<_> = Name::value_variants().iter().filter_map(|name| name.peer()).collect();
        assert_eq!(peers, PEERS.iter().collect::<Vec<_>>());
        assert!(Name::Ours.peer().is_none());
    }
}
