//! When a command gives up: its time is up, a person stopped it, or the process that asked is gone.

use std::time::Duration;

use sealpost_client::front::{self, Reached};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::sink::Sink;

/// What bounds one command.
#[derive(Clone)]
pub(crate) struct Limit {
    deadline: Option<Instant>,
    stop: watch::Receiver<bool>,
    sink: Sink,
}

impl Limit {
    /// Starts now, and allows this much time. `stop` turns true when a person stops the command.
    pub(crate) fn new(timeout: Option<Duration>, stop: watch::Receiver<bool>, sink: Sink) -> Self {
        Self { deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), stop, sink }
    }
}

impl front::Limit for Limit {
    async fn reached(&self) -> Reached {
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

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
