//! The native driver: gives the [engine](crate::engine) a vault, a network, a clock and randomness, and runs it.
//!
//! It owns all of them on a thread of its own. What has arrived by then (commands, answers, frames, the clock) goes through
//! [`Engine::handle`] in **one** vault transaction; only when that is on disk are its effects performed. So what leaves
//! this machine is never more than what a crash would leave behind, and many frames share one sync to disk.
//!
//! If the transaction fails, the engine may have seen what the vault has not: both are dropped together, everyone who
//! waits is told, and a new engine goes on from the vault.
//!
//! The path that most programs want: [`Driver::start`], then [`DriverHandle::command`] and [`DriverHandle::send`] for what
//! a person asks, [`DriverHandle::query`] for what there is to show, [`DriverHandle::events`] for what happens meanwhile,
//! and [`DriverHandle::stop`].

mod adapters;
mod network;
mod sends;
#[cfg(test)]
mod tests;
mod worker;

use std::thread::JoinHandle;

use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{Command, CommandError, Context, Engine, EngineError, Event, Outcome};
use crate::native::TransportError;
use crate::vault::{Vault, VaultError, VaultTransaction};

pub use adapters::{Clock, SystemClock};
pub use network::Server;
pub use sealpost_crypto::UnixMillis;
pub use sends::{SendToken, Sending};

use worker::{Ask, Worker};

/// Why the driver does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The engine did it, or tried to, and says how it failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The vault or what the engine found in it failed. What was asked may have been stored or not; the driver goes on
    /// from the vault, if that can still be read.
    #[error("the vault failed: {0}")]
    Engine(String),
    /// The driver has ended.
    #[error("the driver has ended")]
    Stopped,
}

/// Starts drivers.
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Opens the engine of this vault and runs it on a thread of its own. Without a server every request is answered as
    /// unreachable, which is enough for what only needs the vault.
    ///
    /// # Errors
    /// When the engine cannot go on with what is in the vault, or there are no threads left.
    pub fn start(vault: Vault, server: Option<Server>, clock: Box<dyn Clock>) -> Result<DriverHandle, EngineError> {
        let (asks, asked) = mpsc::unbounded_channel();
        let (reports, transport) = watch::channel(None);
        let (opened, opening) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sealpost-driver".to_owned())
            .spawn(move || {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
                let local = tokio::task::LocalSet::new();
                match Worker::open(vault, server, clock, reports) {
                    Ok(worker) => {
                        let _ = opened.send(Ok(()));
                        local.block_on(&runtime, worker.run(asked));
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                }
            })
            .map_err(|_| EngineError::Internal)?;
        // The thread sends before it does anything else, or ends and so closes the channel.
        opening.recv().map_err(|_| EngineError::Internal)??;
        Ok(DriverHandle { asks, transport, thread: Some(thread) })
    }
}

/// A running driver. Dropping it lets the driver end in its own time; [`stop`](Self::stop) waits for that.
pub struct DriverHandle {
    asks: mpsc::UnboundedSender<Ask>,
    transport: watch::Receiver<Option<TransportError>>,
    thread: Option<JoinHandle<()>>,
}

impl DriverHandle {
    /// Carries out a command and waits for its end. For messages see [`send`](Self::send). Dropping the future gives up
    /// waiting, not the command.
    ///
    /// # Errors
    /// [`DriverError`]
    pub async fn command(&self, command: Command) -> Result<Outcome, DriverError> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Command { command, answer }).map_err(|_| DriverError::Stopped)?;
        answered.await.map_err(|_| DriverError::Stopped)?
    }

    /// Puts a message into the outbox. It is there, on disk, when [`Sending::taken`] says so; [`Sending::done`] waits for
    /// the server.
    ///
    /// With a token, the same message is taken once, however often it is asked for: so whoever does not know whether an
    /// earlier ask came through may ask again.
    ///
    /// # Errors
    /// [`DriverError::Stopped`]
    pub fn send(&self, token: Option<SendToken>, to: Username, text: String) -> Result<Sending, DriverError> {
        let (taken, was_taken) = oneshot::channel::<MessageId>();
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Send { token, to, text, taken, answer }).map_err(|_| DriverError::Stopped)?;
        Ok(Sending::new(was_taken, answered))
    }

    /// Asks the engine something, inside a vault transaction of its own, which is committed when the question returns
    /// without an error.
    ///
    /// # Errors
    /// [`DriverError`]
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, &mut Context<'_>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let (answer, answered) = oneshot::channel();
        let ask = Box::new(move |engine: &mut Engine, context: &mut Context<'_>| {
            question(engine, context).map(|found| {
                // Whoever asked may have given up.
                let _ = answer.send(found);
            })
        });
        let (failed, failure) = oneshot::channel();
        self.asks.send(Ask::Query { question: ask, failed }).map_err(|_| DriverError::Stopped)?;
        // The worker answers `failed` after the commit, so that what was found is what is on disk.
        failure.await.map_err(|_| DriverError::Stopped)??;
        answered.await.map_err(|_| DriverError::Stopped)
    }

    /// All events from now on. They are kept until they are read.
    #[must_use]
    pub fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        let (listener, events) = mpsc::unbounded_channel();
        // A driver that has ended drops the sender, which the receiver sees as the end.
        let _ = self.asks.send(Ask::Listen(listener));
        events
    }

    /// Why the network failed last, more exactly than the engine needs to know. `None` while it works.
    #[must_use]
    pub fn transport_failure(&self) -> Option<TransportError> {
        self.transport.borrow().clone()
    }

    /// Sends what is on its way, closes the stream, and ends the thread.
    pub async fn stop(mut self) {
        let (done, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop { done }).is_ok() {
            let _ = stopped.await;
        }
        if let Some(thread) = self.thread.take() {
            // It has nothing left to do but to close the vault.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Reads a small record of the program that runs the driver, such as the server's address, kept beside the engine's own.
///
/// # Errors
/// [`VaultError`]
pub fn note(vault: &mut dyn VaultTransaction, name: &str) -> Result<Option<crate::vault::Value>, VaultError> {
    vault.get(crate::vault::Table::Meta, format!("driver/{name}").as_bytes())
}

/// Writes a small record of the program that runs the driver; see [`note`].
///
/// # Errors
/// [`VaultError`]
pub fn set_note(vault: &mut dyn VaultTransaction, name: &str, value: &[u8]) -> Result<(), VaultError> {
    vault.put(crate::vault::Table::Meta, format!("driver/{name}").as_bytes(), value)
}
