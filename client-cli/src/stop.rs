//! How a person stops a command: the first signal lets it end in order, the second ends it at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Exit, Failure};

/// Whether to stop, and the means to say so.
pub(crate) struct Stop {
    sender: watch::Sender<bool>,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM from now on. Must be called inside a local task set.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::io("cannot listen to signals", &error));
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (sender, _) = watch::channel(false);
        let on_signal = sender.clone();
        tokio::task::spawn_local(async move {
            either(&mut interrupt, &mut terminate).await;
            on_signal.send_replace(true);
            // Who asks twice does not want to wait for an end in order.
            either(&mut interrupt, &mut terminate).await;
            std::process::exit(i32::from(Exit::Failed.number()));
        });
        Ok(Self { sender })
    }

    /// Returns what turns true when it is time to stop.
    pub(crate) fn listen(&self) -> watch::Receiver<bool> {
        self.sender.subscribe()
    }

    /// Stops everything that listens.
    pub(crate) fn now(&self) {
        self.sender.send_replace(true);
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
