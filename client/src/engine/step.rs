//! What a part is lent for one step.

use rand_core::CryptoRng;
use sealpost_api::endpoint::{Anyone, Endpoint, RequestBody as _, Session};
use sealpost_crypto::{DeviceAddress, UnixMillis};
use zeroize::Zeroizing;

use super::codec::write;
use super::command::{CommandError, CommandId, Outcome};
use super::effect::{Effect, Request};
use super::error::EngineError;
use super::event::Event;
use super::fact::{Fact, Notable};
use super::records::Peer;
use super::requests::{Ask, May, Purpose, Requests};
use super::store::Rows;
use super::waiting::{Commands, Waiting};
use crate::vault::VaultTransaction;

/// What the engine keeps for the parts and lends to each of them in turn.
pub(crate) struct Lent {
    /// What is remembered of the remote devices: one row a device, of which each part has its own fields.
    pub(crate) peers: Rows<Peer>,
    pub(crate) requests: Requests,
    pub(crate) commands: Commands,
    pub(crate) effects: Vec<Effect>,
    pub(crate) facts: Vec<Fact>,
    /// When to be woken, as far as this input has told.
    pub(crate) wake: Option<UnixMillis>,
}

impl Lent {
    /// Reads what is kept in the vault.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self {
            peers: Rows::open(vault)?,
            requests: Requests::default(),
            commands: Commands::default(),
            effects: Vec::new(),
            facts: Vec::new(),
            wake: None,
        })
    }
}

/// What a part is lent for one step: the vault, the time, randomness, and where its effects and facts go.
pub(crate) struct Step<'a> {
    /// The open transaction.
    pub(crate) vault: &'a mut dyn VaultTransaction,
    /// The time.
    pub(crate) now: UnixMillis,
    /// For keys, ids, tokens and jitter.
    pub(crate) rng: &'a mut dyn CryptoRng,
    /// What is kept for all parts.
    pub(crate) lent: &'a mut Lent,
}

impl Step<'_> {
    /// Returns random bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Returns a random number.
    pub(crate) fn draw_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.draw())
    }

    /// Tells the front.
    pub(crate) fn emit(&mut self, event: Event) {
        self.effect(Effect::Emit(event));
    }

    /// Has something done after the commit.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.lent.effects.push(effect);
    }

    /// Asks to be woken; the earliest time counts.
    pub(crate) fn wake_at(&mut self, at: UnixMillis) {
        self.lent.wake = Some(self.lent.wake.map_or(at, |earlier| earlier.min(at)));
    }

    /// Tells the engine a fact, which it hands on to the parts that it concerns.
    pub(crate) fn tell(&mut self, fact: Fact) {
        self.lent.facts.push(fact);
    }

    /// Tells something that is to be shown once.
    pub(crate) fn note(&mut self, notable: Notable) {
        self.tell(Fact::Notable(notable));
    }

    /// Returns what is remembered of a remote device for a change; nothing yet for a new one.
    pub(crate) fn peer(&mut self, address: DeviceAddress) -> &mut Peer {
        self.lent.peers.edit_or_default(&address)
    }

    /// Returns whether a request for this purpose would be made now; if it is only too early, asks to be woken.
    pub(crate) fn may_ask(&mut self, purpose: &Purpose) -> bool {
        match self.lent.requests.may(purpose, self.now) {
            May::Now => true,
            May::UnderWay => false,
            May::From(at) => {
                self.wake_at(at);
                false
            }
        }
    }

    /// Makes a call with an access token, unless one for this purpose is under way or it is too early to repeat one.
    pub(crate) fn ask<E: Endpoint<Access = Session>>(
        &mut self,
        purpose: Purpose,
        call: &E,
        request: &E::Request,
    ) -> Result<(), EngineError> {
        if self.may_ask(&purpose) {
            let body = if E::Request::EXPECTED { Some(write(request)?) } else { None };
            self.lent.requests.keep(Ask { purpose, method: E::METADATA.method, path: call.path(), body });
        }
        Ok(())
    }

    /// Makes a call as [`ask`](Self::ask) does, with a body that was stored before.
    pub(crate) fn ask_stored<E: Endpoint<Access = Session>>(&mut self, purpose: Purpose, call: &E, body: &str) {
        if self.may_ask(&purpose) {
            let body = Some(Zeroizing::new(body.as_bytes().to_vec()));
            self.lent.requests.keep(Ask { purpose, method: E::METADATA.method, path: call.path(), body });
        }
    }

    /// Makes a call that needs no access token, under the same conditions as [`ask`](Self::ask).
    pub(crate) fn ask_openly<E: Endpoint<Access = Anyone>>(
        &mut self,
        purpose: Purpose,
        call: &E,
        request: &E::Request,
    ) -> Result<(), EngineError> {
        if self.may_ask(&purpose) {
            let body = if E::Request::EXPECTED { Some(write(request)?) } else { None };
            self.request_openly(purpose, call, body);
        }
        Ok(())
    }

    /// Makes a call as [`ask_openly`](Self::ask_openly) does, with a body that was stored before.
    pub(crate) fn ask_openly_stored<E: Endpoint<Access = Anyone>>(&mut self, purpose: Purpose, call: &E, body: &str) {
        if self.may_ask(&purpose) {
            self.request_openly(purpose, call, Some(Zeroizing::new(body.as_bytes().to_vec())));
        }
    }

    fn request_openly<E: Endpoint>(&mut self, purpose: Purpose, call: &E, body: Option<Zeroizing<Vec<u8>>>) {
        let id = self.lent.requests.begin(purpose);
        let (method, path) = (E::METADATA.method, call.path());
        self.effect(Effect::Request(Request { id, method, path, body, bearer: None }));
    }

    /// Waits before another request for this purpose.
    pub(crate) fn back_off(&mut self, purpose: Purpose, at_least_ms: Option<u64>) {
        let jitter = self.draw_u64();
        self.lent.requests.back_off(purpose, self.now, jitter, at_least_ms);
    }

    /// Counts a failure to reach the server. After a few in a row, everyone who waits is told.
    pub(crate) fn note_failure(&mut self) {
        if self.lent.requests.unreached() {
            self.fail_commands(&CommandError::Unreachable);
        }
    }

    /// Ends a command.
    pub(crate) fn complete(&mut self, id: CommandId, outcome: Result<Outcome, CommandError>) {
        self.lent.commands.end(id);
        self.emit(Event::Completed { id, outcome });
    }

    /// Ends the commands that wait for what `matches`.
    pub(crate) fn complete_all(&mut self, matches: impl Fn(&Waiting) -> bool, outcome: &Result<Outcome, CommandError>) {
        let ids: Vec<CommandId> =
            self.lent.commands.iter().filter(|(_, waiting)| matches(waiting)).map(|(id, _)| id).collect();
        for id in ids {
            self.complete(id, outcome.clone());
        }
    }

    /// Ends every command with an error. What is stored goes on.
    pub(crate) fn fail_commands(&mut self, error: &CommandError) {
        self.complete_all(|_| true, &Err(error.clone()));
    }
}
