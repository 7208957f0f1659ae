//! The engine with its vault, clock and randomness: one transaction a step. It knows no network and no runtime.

use std::collections::HashMap;

use rand::rngs::SysRng;
use rand_core::UnwrapErr;
use sealpost_crypto::UnixMillis;

use super::adapters::Clock;
use super::ask::Question;
use super::error::DriverError;
use super::sending::SendToken;
use super::tokens::{Remembered, Sends};
use crate::engine::{CommandId, Context, Effect, Engine, EngineError, Event, Input};
use crate::vault::{Vault, VaultTransaction};

/// The engine and what it is lent.
pub(super) struct Core {
    vault: Vault,
    engine: Engine,
    clock: Box<dyn Clock>,
    next_command: u64,
    /// Tokens of commands that the engine has not been handed yet.
    tokens: HashMap<CommandId, SendToken>,
    sends: Sends,
}

impl Core {
    /// Opens the engine of a vault. Settles a roll-back of the vault, if there was one.
    pub(super) fn open(mut vault: Vault, clock: Box<dyn Clock>) -> Result<Self, EngineError> {
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
        Ok(Self { vault, engine, clock, next_command: 0, tokens: HashMap::new(), sends })
    }

    /// Returns the time.
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Draws the id of a new command.
    pub(super) const fn draw_id(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }

    /// Returns the message that was taken with this token.
    pub(super) fn taken_with(&self, token: SendToken) -> Option<&Remembered> {
        self.sends.look_up(token)
    }

    /// Returns whether a message with this token is among the inputs that were not handled yet.
    pub(super) fn is_begun(&self, token: SendToken) -> bool {
        self.tokens.values().any(|begun| *begun == token)
    }

    /// Remembers the token with the message that this command puts into the outbox.
    pub(super) fn begin(&mut self, id: CommandId, token: SendToken) {
        self.tokens.insert(id, token);
    }

    /// Handles inputs in one transaction, and returns what to do after it. After an error the engine must be
    /// [opened anew](Self::reopen).
    pub(super) fn handle(&mut self, inputs: Vec<Input>) -> Result<Vec<Effect>, EngineError> {
        let tokens = std::mem::take(&mut self.tokens);
        let mut sends = std::mem::take(&mut self.sends);
        let handled = self.transaction(|engine, context| {
            let effects = engine.handle_all(context, inputs)?;
            for effect in &effects {
                if let Effect::Emit(event) = effect {
                    remember(context.vault, &mut sends, event, &tokens)?;
                }
            }
            Ok(effects)
        });
        self.sends = sends;
        handled
    }

    /// Asks the engine something in a transaction of its own. After an error the engine must be
    /// [opened anew](Self::reopen).
    pub(super) fn ask(&mut self, question: Question) -> Result<(), EngineError> {
        self.transaction(question)
    }

    /// Drops the engine, and opens a new one from what is on disk. Returns whether the old one was to be online.
    pub(super) fn reopen(&mut self) -> Result<bool, EngineError> {
        let was_wanted_online = self.engine.is_wanted_online();
        self.tokens.clear();
        self.engine = open_engine(&mut self.vault, self.clock.as_ref())?;
        self.sends = self.vault.transaction(|vault| Sends::read(vault).map_err(EngineError::from))?;
        Ok(was_wanted_online)
    }

    fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Engine, &mut Context<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let now = self.clock.now();
        let engine = &mut self.engine;
        self.vault.transaction(|vault| {
            let mut rng = UnwrapErr(SysRng);
            body(engine, &mut Context { vault, now, rng: &mut rng })
        })
    }
}

fn open_engine(vault: &mut Vault, clock: &dyn Clock) -> Result<Engine, EngineError> {
    let now = clock.now();
    vault.transaction(|vault| {
        let mut rng = UnwrapErr(SysRng);
        Engine::open(&mut Context { vault, now, rng: &mut rng })
    })
}

/// Keeps what an event says about messages that were taken with a token.
fn remember(
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

/// Returns the error that askers are told when the engine is dropped: the error and its causes, in one line.
pub(super) fn dropped(error: &EngineError) -> DriverError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    DriverError::Engine(text)
}
