//! The driver's loop.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;
use tokio::sync::{mpsc, oneshot, watch};

use super::DriverError;
use super::adapters::Clock;
use super::network::{Arrived, Network, Server};
use super::sends::{SendToken, Sends};
use crate::engine::{
    Command, CommandError, CommandId, Context, Effect, Engine, EngineError, Event, Input, OfflineReason, Outcome,
};
use crate::native::TransportError;
use crate::vault::{Vault, VaultTransaction};

/// Inputs that share a transaction: enough that one sync to disk carries a full delivery window, few enough that an ack
/// never waits long.
const BATCH_MAX: usize = 128;
/// The longest sleep, so that a clock that was set forward is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The pause before a new engine goes online, in ms: a disk that is full stays so for a while.
const RESUME_AFTER_MS: u64 = 1_000;

type Answer = oneshot::Sender<Result<Outcome, DriverError>>;
type Question = Box<dyn FnOnce(&mut Engine, &mut Context<'_>) -> Result<(), EngineError> + Send>;

/// What the handle asks for.
pub(super) enum Ask {
    /// A command.
    Command { command: Command, answer: Answer },
    /// A message.
    Send { token: Option<SendToken>, to: Username, text: String, taken: oneshot::Sender<MessageId>, answer: Answer },
    /// A look at the engine, or a small change of it.
    Query { question: Question, failed: oneshot::Sender<Result<(), DriverError>> },
    /// Events from now on.
    Listen(mpsc::UnboundedSender<Event>),
    /// The end.
    Stop { done: oneshot::Sender<()> },
}

/// Who waits for a command.
struct Waiting {
    answer: Answer,
    taken: Option<oneshot::Sender<MessageId>>,
}

/// Everything the driver owns.
pub(super) struct Worker {
    vault: Vault,
    engine: Engine,
    clock: Box<dyn Clock>,
    network: Network,
    arrivals: mpsc::Receiver<Arrived>,
    wake_at: Option<UnixMillis>,
    /// When to go online again after the engine was opened anew.
    resume_at: Option<UnixMillis>,
    next_command: u64,
    waiting: HashMap<CommandId, Waiting>,
    /// Who waits for a message that an earlier ask put into the outbox.
    waiting_for_message: HashMap<MessageId, Vec<Answer>>,
    tokens: HashMap<CommandId, SendToken>,
    sends: Sends,
    listeners: Vec<mpsc::UnboundedSender<Event>>,
}

impl Worker {
    pub(super) fn open(
        mut vault: Vault,
        server: Option<Server>,
        clock: Box<dyn Clock>,
        reports: watch::Sender<Option<TransportError>>,
    ) -> Result<Self, EngineError> {
        let mut engine = open_engine(&mut vault, clock.as_ref())?;
        if vault.rolled_back() {
            let now = clock.now();
            vault.transaction(|vault| {
                engine.vault_rolled_back(&mut Context { vault, now, rng: &mut UnwrapErr(SysRng) })
            })?;
            // A crash before this repeats it.
            vault.settle_rollback()?;
        }
        let sends = vault.transaction(|vault| Sends::read(vault).map_err(EngineError::from))?;
        let (network, arrivals) = Network::new(server, reports);
        Ok(Self {
            vault,
            engine,
            clock,
            network,
            arrivals,
            wake_at: None,
            resume_at: None,
            next_command: 0,
            waiting: HashMap::new(),
            waiting_for_message: HashMap::new(),
            tokens: HashMap::new(),
            sends,
            listeners: Vec::new(),
        })
    }

    /// Runs until it is told to stop, or every handle is gone, or the vault can't be read any more.
    pub(super) async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        let mut stopped = None;
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
            if self.wake_at.is_some_and(|at| at <= self.clock.now()) {
                self.wake_at = None;
                inputs.push(Input::Tick);
            }
            if self.resume_at.is_some_and(|at| at <= self.clock.now()) {
                self.resume_at = None;
                inputs.push(Input::Command { id: self.draw_id(), command: Command::GoOnline });
            }
            let outcome = self.step(asks, inputs, &mut stopped);
            if outcome.is_err() || stopped.is_some() {
                break;
            }
        }
        // Whoever still waits hears that the driver has stopped, because the channels close.
        let id = self.draw_id();
        let _ = self.process(vec![Input::Command { id, command: Command::GoOffline }]);
        self.network.finish(&mut self.arrivals).await;
        drop(self);
        if let Some(done) = stopped {
            let _ = oneshot::Sender::send(done, ());
        }
    }

    /// Handles what has arrived: everything between two questions in one transaction.
    fn step(
        &mut self,
        asks: Vec<Ask>,
        mut inputs: Vec<Input>,
        stopped: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), EngineError> {
        for ask in asks {
            match ask {
                Ask::Command { command, answer } => {
                    if matches!(command, Command::GoOffline) {
                        self.resume_at = None;
                    }
                    let id = self.draw_id();
                    self.waiting.insert(id, Waiting { answer, taken: None });
                    inputs.push(Input::Command { id, command });
                }
                Ask::Send { token, to, text, taken, answer } => {
                    if token.is_some_and(|token| self.tokens.values().any(|begun| *begun == token)) {
                        // The same message, asked for a moment ago: that one is to be known on disk first.
                        self.process(std::mem::take(&mut inputs))?;
                    }
                    if let Some(input) = self.begin_send(token, to, text, taken, answer) {
                        inputs.push(input);
                    }
                }
                Ask::Query { question, failed } => {
                    self.process(std::mem::take(&mut inputs))?;
                    let found = self.transaction(|engine, context| question(engine, context).map(|()| Vec::new()));
                    let answer = found.as_ref().map(|_| ()).map_err(|error| DriverError::Engine(chain(error)));
                    let _ = failed.send(answer);
                    if let Err(error) = found {
                        self.reopen(&error)?;
                    }
                }
                Ask::Listen(listener) => self.listeners.push(listener),
                Ask::Stop { done } => {
                    *stopped = Some(done);
                    break;
                }
            }
        }
        self.process(inputs)
    }

    /// The input for a message; none when its token was used before.
    fn begin_send(
        &mut self,
        token: Option<SendToken>,
        to: Username,
        text: String,
        taken: oneshot::Sender<MessageId>,
        answer: Answer,
    ) -> Option<Input> {
        if let Some(token) = token
            && let Some(earlier) = self.sends.look_up(token)
        {
            let _ = taken.send(earlier.message_id());
            match earlier.outcome() {
                Some(outcome) => {
                    let _ = answer.send(outcome.map_err(DriverError::from));
                }
                None => self.waiting_for_message.entry(earlier.message_id()).or_default().push(answer),
            }
            return None;
        }
        let id = self.draw_id();
        if let Some(token) = token {
            self.tokens.insert(id, token);
        }
        self.waiting.insert(id, Waiting { answer, taken: Some(taken) });
        Some(Input::Command { id, command: Command::Send { to, text } })
    }

    /// One transaction for all inputs, then their effects. An error is the end of the driver.
    fn process(&mut self, inputs: Vec<Input>) -> Result<(), EngineError> {
        if inputs.is_empty() {
            return Ok(());
        }
        let tokens = std::mem::take(&mut self.tokens);
        let mut sends = std::mem::take(&mut self.sends);
        let handled = self.transaction(|engine, context| {
            let effects = engine.handle_all(context, inputs)?;
            for effect in &effects {
                if let Effect::Emit(event) = effect {
                    note_event(context.vault, &mut sends, event, &tokens)?;
                }
            }
            Ok(effects)
        });
        self.sends = sends;
        match handled {
            Ok(effects) => {
                for effect in effects {
                    self.perform(effect);
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "a vault transaction failed; going on from the vault");
                self.reopen(&error)
            }
        }
    }

    fn transaction(
        &mut self,
        body: impl FnOnce(&mut Engine, &mut Context<'_>) -> Result<Vec<Effect>, EngineError>,
    ) -> Result<Vec<Effect>, EngineError> {
        let now = self.clock.now();
        let engine = &mut self.engine;
        self.vault.transaction(|vault| {
            let mut rng = UnwrapErr(SysRng);
            body(engine, &mut Context { vault, now, rng: &mut rng })
        })
    }

    /// A new engine from what is on disk. What the old one had under way is gone, and so is its stream; whoever waits for
    /// it is told. If it was to be online, so is the new one, after a pause.
    fn reopen(&mut self, error: &EngineError) -> Result<(), EngineError> {
        for (_, waiting) in self.waiting.drain() {
            let _ = waiting.answer.send(Err(DriverError::Engine(chain(error))));
        }
        self.tokens.clear();
        if self.engine.is_wanted_online() {
            self.resume_at = Some(self.clock.now().saturating_add(RESUME_AFTER_MS));
        }
        self.network.close_stream();
        self.network.forget_requests();
        self.engine = open_engine(&mut self.vault, self.clock.as_ref())?;
        self.sends = self.vault.transaction(|vault| Sends::read(vault).map_err(EngineError::from))?;
        self.wake_at = None;
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
            Effect::Emit(event) => self.emit(&event),
        }
    }

    fn emit(&mut self, event: &Event) {
        match event {
            Event::Queued { id, message_id, .. } => {
                if let Some(taken) = self.waiting.get_mut(id).and_then(|waiting| waiting.taken.take()) {
                    let _ = taken.send(*message_id);
                }
            }
            Event::Sent { receipt, .. } => {
                for answer in self.waiting_for_message.remove(&receipt.message_id).unwrap_or_default() {
                    let _ = answer.send(Ok(Outcome::Sent(receipt.clone())));
                }
            }
            Event::Blocked { to, message_id } => {
                for answer in self.waiting_for_message.remove(message_id).unwrap_or_default() {
                    let blocked = CommandError::IdentityChanged { name: to.clone() };
                    let _ = answer.send(Err(DriverError::Command(blocked)));
                }
            }
            Event::Refused { message_id, code, .. } => {
                for answer in self.waiting_for_message.remove(message_id).unwrap_or_default() {
                    let refused = CommandError::Refused { code: *code, retry_after: None };
                    let _ = answer.send(Err(DriverError::Command(refused)));
                }
            }
            _ => {}
        }
        self.tell(event);
        if let Event::Completed { id, outcome } = event
            && let Some(waiting) = self.waiting.remove(id)
        {
            let _ = waiting.answer.send(outcome.clone().map_err(DriverError::from));
        }
    }

    fn tell(&mut self, event: &Event) {
        self.listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }

    const fn draw_id(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }

    fn until_wake(&self) -> Duration {
        let next = self.wake_at.into_iter().chain(self.resume_at).min();
        next.map_or(SLEEP_MAX, |at| Duration::from_millis(at.0.saturating_sub(self.clock.now().0)).min(SLEEP_MAX))
    }
}

fn open_engine(vault: &mut Vault, clock: &dyn Clock) -> Result<Engine, EngineError> {
    let now = clock.now();
    vault.transaction(|vault| {
        let mut rng = UnwrapErr(SysRng);
        Engine::open(&mut Context { vault, now, rng: &mut rng })
    })
}

fn note_event(
    vault: &mut dyn VaultTransaction,
    sends: &mut Sends,
    event: &Event,
    tokens: &HashMap<CommandId, SendToken>,
) -> Result<(), EngineError> {
    if let Event::Queued { id, message_id, .. } = event
        && let Some(token) = tokens.get(id)
    {
        sends.taken(vault, *token, *message_id)?;
    }
    Ok(sends.ended(vault, event)?)
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
