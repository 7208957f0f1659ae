//! The handle of a running driver. It knows no runtime, only channels.

use sealpost_api::username::Username;
use tokio::sync::{mpsc, oneshot, watch};

use super::ask::Ask;
use super::error::{DriverError, NetworkFailure};
use super::sending::{Report, SendToken, Sending};
use crate::engine::{Command, Context, Engine, EngineError, Event, OfflineReason, Outcome};

/// The state of the stream to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not asked for yet.
    Down,
    /// The server has welcomed this device.
    Online,
    /// Online, and everything that waited on the server was taken in.
    Drained,
    /// Lost, or never opened.
    Offline(OfflineReason),
}

impl Link {
    /// Returns whether the server has welcomed this device.
    #[must_use]
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online | Self::Drained)
    }

    /// Returns the state that an event leads to, or `None` if the event does not concern the stream.
    #[cfg_attr(not(feature = "native"), expect(dead_code, reason = "only a worker tells it"))]
    pub(super) const fn after(event: &Event) -> Option<Self> {
        match event {
            Event::Online { .. } => Some(Self::Online),
            Event::Drained => Some(Self::Drained),
            Event::Offline { reason, .. } => Some(Self::Offline(*reason)),
            _ => None,
        }
    }
}

/// A running driver. Dropping it lets the driver end in its own time; [`stop`](Self::stop) waits for that.
#[derive(Debug)]
pub struct DriverHandle {
    asks: mpsc::UnboundedSender<Ask>,
    link: watch::Receiver<Link>,
    network: watch::Receiver<Option<NetworkFailure>>,
    /// Nothing is ever sent: the channel closes when the worker has closed its vault.
    ended: oneshot::Receiver<()>,
}

impl DriverHandle {
    #[cfg_attr(not(feature = "native"), expect(dead_code, reason = "only who starts a worker makes one"))]
    pub(super) const fn new(
        asks: mpsc::UnboundedSender<Ask>,
        link: watch::Receiver<Link>,
        network: watch::Receiver<Option<NetworkFailure>>,
        ended: oneshot::Receiver<()>,
    ) -> Self {
        Self { asks, link, network, ended }
    }

    /// Carries out a command and waits for its end. For messages see [`send`](Self::send). Dropping the future gives up
    /// waiting, not the command.
    ///
    /// # Errors
    /// [`DriverError`]
    pub async fn command(&self, command: Command) -> Result<Outcome, DriverError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Command { command, answer })?;
        answered.await.map_err(|_| DriverError::Stopped)?
    }

    /// Puts a message into the outbox. [`Sending`] tells how far it is.
    ///
    /// With a token, the same message is taken once, however often it is asked for. So a program that does not know whether
    /// an earlier ask came through may ask again.
    ///
    /// # Errors
    /// [`DriverError::Stopped`]
    pub fn send(&self, token: Option<SendToken>, to: Username, text: String) -> Result<Sending, DriverError> {
        let (report, sending) = Report::new();
        self.ask(Ask::Send { token, to, text, report })?;
        Ok(sending)
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
        let question = Box::new(move |engine: &mut Engine, context: &mut Context<'_>| {
            question(engine, context).map(|found| {
                // The asker may have given up.
                let _ = answer.send(found);
            })
        });
        let (failed, failure) = oneshot::channel();
        self.ask(Ask::Query { question, failed })?;
        // The worker answers `failed` after the commit, so that what was found is what is on disk.
        failure.await.map_err(|_| DriverError::Stopped)??;
        answered.await.map_err(|_| DriverError::Stopped)
    }

    /// Returns all events from now on, except the ends of commands and messages, which only their askers hear. Events are
    /// kept until they are read.
    #[must_use]
    pub fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        let (listener, events) = mpsc::unbounded_channel();
        // A driver that has ended drops the sender, which the receiver sees as the end.
        let _ = self.ask(Ask::Listen(listener));
        events
    }

    /// Returns the state of the stream, to be looked at and waited for. It changes before the events and answers that go
    /// with the change.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Returns why the network failed last, or `None` while it works.
    #[must_use]
    pub fn network_failure(&self) -> Option<NetworkFailure> {
        self.network.borrow().clone()
    }

    /// Sends what is on its way, closes the stream, and waits until the driver has ended.
    pub async fn stop(self) {
        let _ = self.ask(Ask::Stop);
        let _ = self.ended.await;
    }

    fn ask(&self, ask: Ask) -> Result<(), DriverError> {
        self.asks.send(ask).map_err(|_| DriverError::Stopped)
    }
}
