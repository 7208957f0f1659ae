//! How long a connection can go without a request. actix limits only the first head of a connection. Each byte of a
//! later head restarts its keep-alive time, so one byte now and then would hold the connection for ever.

use sealpost_sabotage::{Countermeasure, without};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// The timing of the connection that this task serves; its requests are answered within the same task.
    static PACE: Rc<Pace>;
}

/// The timing of one connection.
#[derive(Debug)]
struct Pace {
    /// The number of requests whose answer is not complete. A stream is such a request until it ends.
    serving: Cell<u32>,
    /// When it last became idle.
    idle_since: Cell<Instant>,
}

/// Serves a connection to its end. Drops it and returns `None` once it was without a request for this long.
pub(crate) async fn paced<T>(served: impl Future<Output = T>, idle_max: Duration) -> Option<T> {
    let pace = Rc::new(Pace { serving: Cell::new(0), idle_since: Cell::new(Instant::now()) });
    tokio::select! {
        served = PACE.scope(Rc::clone(&pace), served) => Some(served),
        () = pace.idled(idle_max) => None,
    }
}

/// Waits for ever in a build that leaves the countermeasure out.
async fn planted_patience() {
    if without(Countermeasure::HeadTimeout) {
        std::future::pending::<()>().await;
    }
}

impl Pace {
    async fn idled(&self, idle_max: Duration) {
        planted_patience().await;
        loop {
            let now = Instant::now();
            let since = if self.serving.get() > 0 { now } else { self.idle_since.get() };
            if now.duration_since(since) >= idle_max {
                return;
            }
            tokio::time::sleep(idle_max.saturating_sub(now.duration_since(since))).await;
        }
    }
}

/// A request on the connection that this task serves, until it is dropped.
#[derive(Debug)]
pub(super) struct Serving(Option<Rc<Pace>>);

impl Serving {
    /// Starts timing a request. Outside [`paced`], as in tests without connections, it does nothing.
    pub(super) fn begin() -> Self {
        let pace = PACE.try_with(Rc::clone).ok();
        if let Some(pace) = &pace {
            pace.serving.set(pace.serving.get().saturating_add(1));
        }
        Self(pace)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(pace) = &self.0 {
            pace.serving.set(pace.serving.get().saturating_sub(1));
            pace.idle_since.set(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE_MAX: Duration = Duration::from_secs(1);
    const REQUEST: Duration = Duration::from_millis(2_500);

    #[tokio::test]
    async fn only_the_time_without_a_request_counts() {
        let begin = Instant::now();
        let served = async {
            let (one, other) = (Serving::begin(), Serving::begin());
            drop(one);
            tokio::time::sleep(REQUEST).await;
            drop(other);
            std::future::pending::<()>().await;
        };
        assert_eq!(paced(served, IDLE_MAX).await, None);
        assert!(begin.elapsed() >= REQUEST + IDLE_MAX);
        assert_eq!(paced(async { 7 }, IDLE_MAX).await, Some(7));
    }
}
