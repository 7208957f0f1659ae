//! `bench scale`: the cost of one operation as the amount of everything else grows.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::rig::{RigOptions, cores, runtime};
use crate::{docs, plot};

mod accounts;
mod growth;
mod operations;
mod queued;
mod report;
mod sockets;

use growth::Series;

/// The open files of generator and server besides the streams.
const OTHER_FILES: u64 = 512;

/// Options of `bench scale`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
EXAMPLES
  Everything, in some 20 minutes:
      bench scale
  Smaller, to see that it works:
      bench scale --queued 1000,10000 --accounts 100,1000 --sockets 100,1000
  What docs/performance.md shows:
      bench scale --write")]
pub(crate) struct Options {
    #[command(flatten)]
    rig: RigOptions,
    /// Messages that wait, in 100 queues and in one.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000], value_name = "N")]
    queued: Vec<u64>,
    /// Accounts.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000], value_name = "N")]
    accounts: Vec<u64>,
    /// Open streams, at most what the limit of open files allows
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 4_000, 16_000], value_name = "N")]
    sockets: Vec<u64>,
    /// Runs of each measure; the result is the cheapest, because other programs only add to it
    #[arg(long, default_value_t = 2, value_name = "N")]
    repeats: usize,
    /// One JSON object a figure instead of the table.
    #[arg(long)]
    json: bool,
    /// Rewrite the tables in docs/performance.md and the plot beside it.
    #[arg(long, conflicts_with = "unpinned")]
    write: bool,
    /// Exit with 1 if anything that a user waits for grows faster than the logarithm.
    #[arg(long)]
    check: bool,
}

/// Runs the bench.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    cores::pin_generator(&options.rig)?;
    let files = cores::raise_open_files()?;
    let sockets = possible(&options.sockets, files);
    let series: Vec<Series> = runtime()?.block_on(async {
        let mut series = queued::queued(options).await?;
        series.extend(accounts::accounts(options).await?);
        series.extend(sockets::sockets(options, &sockets).await?);
        anyhow::Ok(series)
    })?;
    if options.json {
        report::print_json(&series);
    } else {
        print!("{}", report::tables(&series));
    }
    if options.write {
        std::fs::write(docs::folder().join("scale.svg"), plot::svg(&report::panels(&series)))?;
        docs::rewrite("scale", &report::tables(&series))?;
    }
    let grows = series.iter().any(|series| !series.is_logarithmic());
    Ok(if options.check && grows { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reduces a number of streams to what this machine allows a process.
fn possible(wanted: &[u64], files: u64) -> Vec<u64> {
    let most = files.saturating_sub(OTHER_FILES);
    let mut possible: Vec<u64> = wanted.iter().map(|sockets| (*sockets).min(most)).collect();
    possible.dedup();
    if wanted.iter().any(|sockets| *sockets > most) {
        eprintln!("{files} open files are too few for more than {most} streams; raise the limit (ulimit -n) for more");
    }
    possible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_to_the_open_files() {
        assert_eq!(possible(&[100, 16_000], 20_000), [100, 16_000]);
        assert_eq!(possible(&[100, 4_000, 16_000], 4_096), [100, 3_584]);
    }
}
