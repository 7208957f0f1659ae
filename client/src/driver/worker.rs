//! The driver's loop.

use std::time::Duration;

use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;
use tokio::sync::{mpsc, watch};

use super::adapters::Clock;
use super::ask::Ask;
use super::core::{Core, dropped};
use super::error::{DriverError, NetworkFailure};
use super::handle::Link;
use super::network::{Arrived, Network, Server};
use super::sending::{Report, SendToken};
use super::waiting::Waiting;
use crate::engine::{Command, Effect, EngineError, Event, Input, OfflineReason};
use crate::vault::Vault;

/// Inputs that share a transaction: enough that one sync to disk carries a full delivery window, few enough that an ack
/// never waits long.
const BATCH_MAX: usize = 128;
/// The longest sleep, so that a clock that was set forward is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The pause before a new engine goes online, in ms: a disk that is full stays so for a while.
const RESUME_AFTER_MS: u64 = 1_000;

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Goes,
    Stops,
}

/// What the worker shows to its handles.
pub(super) struct Reports {
    pub(super) link: watch::Sender<Link>,
    pub(super) network: watch::Sender<Option<NetworkFailure>>,
}

/// Everything the driver owns.
pub(super) struct Worker {
    core: Core,
    network: Network,
    arrivals: mpsc::Receiver<Arrived>,
    wake_at: Option<UnixMillis>,
    /// When to go online again after the engine was opened anew.
    resume_at: Option<UnixMillis>,
    waiting: Waiting,
    link: watch::Sender<Link>,
}

impl Worker {
    /// Opens the engine of a vault.
    pub(super) fn open(
        vault: Vault,
        server: Option<Server>,
        clock: Box<dyn Clock>,
        reports: Reports,
    ) -> Result<Self, EngineError> {
        let core = Core::open(vault, clock)?;
        let (network, arrivals) = Network::new(server, reports.network);
        let waiting = Waiting::default();
        Ok(Self { core, network, arrivals, wake_at: None, resume_at: None, waiting, link: reports.link })
    }

    /// Runs until it is told to stop, or every handle is gone, or the vault can't be read any more.
    pub(super) async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        if self.process(vec![Input::Tick]).is_err() {
            return;
        }
        loop {
            let mut asks = Vec::new();
            let mut inputs = Vec::new();
            let sleep = tokio::time::sleep(self.until_wake());
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => asks.push(ask),
                    None => break,
                },
                Some(arrived) = self.arrivals.recv() => inputs.extend(self.network.input(arrived)),
                () = sleep => {}
            }
            while inputs.len() < BATCH_MAX
                && let Ok(arrived) = self.arrivals.try_recv()
            {
                inputs.extend(self.network.input(arrived));
            }
            while asks.len() < BATCH_MAX
                && let Ok(ask) = asked.try_recv()
            {
                asks.push(ask);
            }
            self.add_due(&mut inputs);
            if !matches!(self.step(asks, inputs), Ok(Next::Goes)) {
                break;
            }
        }
        // Everyone who still waits hears that the driver has stopped, because the channels close.
        let id = self.core.draw_id();
        let _ = self.process(vec![Input::Command { id, command: Command::GoOffline }]);
        self.network.finish(&mut self.arrivals).await;
    }

    /// Adds what the clock brings.
    fn add_due(&mut self, inputs: &mut Vec<Input>) {
        let now = self.core.now();
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            inputs.push(Input::Tick);
        }
        if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = None;
            inputs.push(Input::Command { id: self.core.draw_id(), command: Command::GoOnline });
        }
    }

    /// Handles what has arrived: everything between two questions in one transaction.
    fn step(&mut self, asks: Vec<Ask>, mut inputs: Vec<Input>) -> Result<Next, EngineError> {
        let mut next = Next::Goes;
        for ask in asks {
            match ask {
                Ask::Command { command, answer } => {
                    if matches!(command, Command::GoOffline) {
                        self.resume_at = None;
                    }
                    let id = self.core.draw_id();
                    self.waiting.for_command(id, answer);
                    inputs.push(Input::Command { id, command });
                }
                Ask::Send { token, to, text, report } => {
                    if token.is_some_and(|token| self.core.is_begun(token)) {
                        // The same message, asked for a moment ago: that one is to be known on disk first.
                        self.process(std::mem::take(&mut inputs))?;
                    }
                    inputs.extend(self.begin_send(token, to, text, report));
                }
                Ask::Query { question, failed } => {
                    self.process(std::mem::take(&mut inputs))?;
                    let found = self.core.ask(question);
                    let _ = failed.send(found.as_ref().copied().map_err(dropped));
                    if let Err(error) = found {
                        self.reopen(&dropped(&error))?;
                    }
                }
                Ask::Listen(listener) => self.waiting.listen(listener),
                Ask::Stop => {
                    next = Next::Stops;
                    break;
                }
            }
        }
        self.process(inputs)?;
        Ok(next)
    }

    /// Returns the input for a message, or `None` when its token was used before.
    fn begin_send(&mut self, token: Option<SendToken>, to: Username, text: String, report: Report) -> Option<Input> {
        if let Some(earlier) = token.and_then(|token| self.core.taken_with(token)) {
            match earlier.outcome() {
                Some(outcome) => report.ended(outcome.map_err(DriverError::from)),
                None => self.waiting.for_kept(earlier.message_id(), report),
            }
            return None;
        }
        let id = self.core.draw_id();
        if let Some(token) = token {
            self.core.begin(id, token);
        }
        self.waiting.for_message(id, report);
        Some(Input::Command { id, command: Command::Send { to, text } })
    }

    /// Handles all inputs in one transaction, then performs their effects. An error is the end of the driver.
    fn process(&mut self, inputs: Vec<Input>) -> Result<(), EngineError> {
        if inputs.is_empty() {
            return Ok(());
        }
        match self.core.handle(inputs) {
            Ok(effects) => {
                for effect in effects {
                    self.perform(effect);
                }
                Ok(())
            }
            Err(error) => self.reopen(&dropped(&error)),
        }
    }

    /// Goes on with a new engine from what is on disk. What the old one had under way is gone, and so is its stream; its
    /// askers are told. If it was to be online, so is the new one, after a pause.
    fn reopen(&mut self, error: &DriverError) -> Result<(), EngineError> {
        tracing::error!(%error, "a vault transaction failed; going on from the vault");
        self.waiting.fail(error);
        self.network.close_stream();
        self.network.forget_requests();
        self.wake_at = None;
        if self.core.reopen()? {
            self.resume_at = Some(self.core.now().saturating_add(RESUME_AFTER_MS));
        }
        self.tell(&Event::Offline { reason: OfflineReason::Asked, retry_at: self.resume_at });
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Request(request) => self.network.request(request),
            Effect::OpenStream { bearer } => self.network.open_stream(bearer),
            Effect::SendFrame(frame) => self.network.send_frame(frame),
            Effect::CloseStream => self.network.close_stream(),
            Effect::WakeAt(at) => self.wake_at = Some(at),
            Effect::Emit(event) => self.tell(&event),
        }
    }

    fn tell(&mut self, event: &Event) {
        if let Some(link) = Link::after(event) {
            self.link.send_replace(link);
        }
        self.waiting.tell(event);
    }

    fn until_wake(&self) -> Duration {
        let next = self.wake_at.into_iter().chain(self.resume_at).min();
        next.map_or(SLEEP_MAX, |at| Duration::from_millis(at.0.saturating_sub(self.core.now().0)).min(SLEEP_MAX))
    }
}
