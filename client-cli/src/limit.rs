//! When a command gives up: its time is up, a person stopped it, or the process that asked is gone.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::failure::{Exit, Failure};
use crate::sink::Sink;

/// Why a command gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// `--timeout`.
    TimeUp,
    /// SIGINT or SIGTERM, or whoever asked is gone.
    Stopped,
}

/// What bounds one command.
#[derive(Clone)]
pub(crate) struct Limit {
    deadline: Option<Instant>,
    stop: watch::Receiver<bool>,
    sink: Sink,
}

impl Limit {
    /// From now on, for at most this long.
    pub(crate) fn new(timeout: Option<Duration>, stop: watch::Receiver<bool>, sink: Sink) -> Self {
        Self { deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), stop, sink }
    }

    /// The same, but not beyond this time from now.
    pub(crate) fn at_most(&self, time: Duration) -> Self {
        let near = Instant::now() + time;
        Self { deadline: Some(self.deadline.map_or(near, |deadline| deadline.min(near))), ..self.clone() }
    }

    /// Returns when it is time to give up.
    pub(crate) async fn reached(&self) -> Reached {
        let time_up = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let mut stop = self.stop.clone();
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = time_up => Reached::TimeUp,
            () = stopped => Reached::Stopped,
            () = self.sink.closed() => Reached::Stopped,
        }
    }

    /// Waits for something, but not too long.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, Reached> {
        tokio::select! {
            biased;
            done = future => Ok(done),
            reached = self.reached() => Err(reached),
        }
    }
}

impl From<Reached> for Failure {
    fn from(reached: Reached) -> Self {
        match reached {
            Reached::TimeUp => Self::new(Exit::TimedOut, "timeout", "the time was up before the server had answered")
                .hint("Try again, or allow more time: --timeout SECONDS"),
            Reached::Stopped => Self::new(Exit::TimedOut, "stopped", "stopped before it was done"),
        }
    }
}
