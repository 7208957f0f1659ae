//! Time on the wall and on the processors, from one moment to another.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::process::cpu_time;

/// How often a process is looked at while waiting for it to come to rest: a few ticks of its processor time.
const REST: Duration = Duration::from_millis(100);
/// It is left alone with its work after this many looks.
const LOOKS_MAX: usize = 100;

/// A moment.
pub(crate) struct Clock {
    pid: u32,
    began: Instant,
    server: Duration,
    generator: Duration,
}

/// What passed since then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elapsed {
    pub(crate) wall: Duration,
    /// Processor time of the server.
    pub(crate) server: Duration,
    /// Processor time of the generator.
    pub(crate) generator: Duration,
}

impl Clock {
    /// Now, of this server.
    pub(crate) fn start(pid: u32) -> Result<Self> {
        let (server, generator) = (cpu_time(pid)?, cpu_time(std::process::id())?);
        Ok(Self { pid, began: Instant::now(), server, generator })
    }

    /// The wall's time ends here. What the server has put off is waited for, so that it is paid for too.
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
