//! Wall time and processor time between two moments.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::process::cpu_time;

/// The interval of checking whether a process is idle: a few ticks of its processor time.
const REST: Duration = Duration::from_millis(100);
/// The number of checks after which waiting ends.
const LOOKS_MAX: usize = 100;

/// A moment.
pub(crate) struct Clock {
    pid: u32,
    began: Instant,
    server: Duration,
    generator: Duration,
}

/// The time that passed since a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elapsed {
    pub(crate) wall: Duration,
    /// The processor time of the server.
    pub(crate) server: Duration,
    /// The processor time of the generator.
    pub(crate) generator: Duration,
}

impl Clock {
    /// Takes the present moment of this server.
    pub(crate) fn start(pid: u32) -> Result<Self> {
        let (server, generator) = (cpu_time(pid)?, cpu_time(std::process::id())?);
        Ok(Self { pid, began: Instant::now(), server, generator })
    }

    /// Ends the wall time, and waits for the server's deferred work, so that its processor time is included.
    pub(crate) async fn stop(self) -> Result<Elapsed> {
        let wall = self.began.elapsed();
        let generator = cpu_time(std::process::id())?.saturating_sub(self.generator);
        let mut total = cpu_time(self.pid)?;
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(REST).await;
            let now = cpu_time(self.pid)?;
            if now == total {
                break;
            }
            total = now;
        }
        Ok(Elapsed { wall, server: total.saturating_sub(self.server), generator })
    }
}
