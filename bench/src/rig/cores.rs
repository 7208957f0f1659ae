//! The assignment of cores, and the limit of open files.

use std::io;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::RigOptions;

/// Moves the generator to its core. Fails if a core is missing.
pub(crate) fn pin_generator(options: &RigOptions) -> Result<()> {
    if options.unpinned {
        return Ok(());
    }
    let allowed = sched_getaffinity(None)?;
    for cpu in [options.server_cpu, options.client_cpu] {
        if cpu >= CpuSet::MAX_CPU || !allowed.is_set(cpu) {
            bail!("there is no core {cpu} here; name others with --server-cpu and --client-cpu, or say --unpinned");
        }
    }
    pin(options.client_cpu).with_context(|| format!("this thread could not be moved to core {}", options.client_cpu))
}

/// Runs `spawn` on the server's core, which its child process inherits, and returns to the generator's.
pub(crate) fn on_server_core<T>(options: &RigOptions, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if options.unpinned {
        return spawn();
    }
    pin(options.server_cpu)?;
    let spawned = spawn();
    pin(options.client_cpu)?;
    spawned
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Raises the limit of open files as far as possible, and returns it.
pub(crate) fn raise_open_files() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}
