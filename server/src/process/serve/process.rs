//! Settings of the operating system that the process makes before it serves.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealpost_sabotage::{Countermeasure, refuses};

/// The descriptors for the database, its log, listeners, pollers and calls in progress.
const OTHER_DESCRIPTORS: u64 = 256;
/// The fewest connections of a worker with which the server starts.
const CONNECTIONS_MIN: u64 = 16;

/// Raises the limit of descriptors as far as possible. Returns the connections for each worker: `connections_max`, or
/// what the descriptors allow.
pub(super) fn prepare(workers: usize, connections_max: usize) -> Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_err()
    {
        tracing::warn!("the limit of open files could not be raised");
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return Ok(connections_max) };
    let workers = u64::try_from(workers).unwrap_or(u64::MAX).max(1);
    let allowed = descriptors.saturating_sub(OTHER_DESCRIPTORS) / workers;
    if refuses(Countermeasure::ConnectionLimits, allowed < CONNECTIONS_MIN) {
        bail!(
            "{descriptors} open files are too few to serve with {workers} workers; raise the limit (ulimit -n, or \
             LimitNOFILE= of the systemd unit) or start fewer workers (--workers)"
        );
    }
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    if allowed < connections_max {
        tracing::info!(descriptors, connections = allowed, "the limit of open files lowers the number of connections");
    }
    Ok(allowed.min(connections_max))
}
