//! The client engine: everything a Sealpost client decides, without I/O.
//!
//! It takes [`Input`]s and gives [`Effect`]s; it opens no connection, reads no clock and has no global state. What it must
//! not forget goes through [`VaultTransaction`].
//!
//! # How a driver uses it
//!
//! 1. Begin a vault transaction and make a [`Context`] of it, with the time and a random number generator.
//! 2. Call [`Engine::handle_all`] with the inputs at hand, and keep the effects.
//! 3. Commit. Only then perform the effects, in order.
//! 4. If `handle` fails or the commit does, drop the engine and its effects, and [open](Engine::open) a new one.
//!
//! So an ack, a frame or a request never leaves before what it promises is on disk, and nothing in memory is needed to go
//! on after a crash: the engine remembers only the connection and the requests that are under way.
//!
//! # How it is built
//!
//! The engine consists of parts: account, directory, sessions, outbox, inbox, timeline and link. Each owns its state, is
//! lent a step, and tells facts. No part knows another: the routes hand inputs and facts to the parts that they concern.
//! What the parts have changed is written once, at the end of [`Engine::handle_all`].

mod account;
mod backoff;
mod codec;
mod command;
mod content;
mod directory;
mod effect;
mod error;
mod event;
mod fact;
#[cfg(fuzzing)]
pub mod fuzzing;
mod inbox;
mod link;
mod model;
mod outbox;
mod parts;
mod people;
mod records;
mod requests;
mod route;
mod sessions;
mod step;
mod store;
mod timeline;
mod waiting;

pub use command::{Command, CommandError, CommandId, DeviceOffer, InvalidCommand, Outcome};
pub use effect::{Effect, HttpResponse, Input, Method, Request, RequestFailure, RequestId, StreamRefusal};
pub use error::EngineError;
pub use event::{Event, OfflineReason};
pub use model::{
    AccountInfo, ContactInfo, DeviceInfo, Direction, GapKind, HistoryEntry, KeyStatus, Limit, MessageFlag,
    MessageReceipt, Notice, NoticeBody, OutboxEntry, PeerDevice, SessionRow, Status, Undecryptable,
};

use rand_core::CryptoRng;
use sealpost_api::username::Username;
use sealpost_crypto::{SafetyNumber, UnixMillis};

use crate::vault::VaultTransaction;
use parts::Parts;
use step::{Lent, Step};
use timeline::Timeline;

/// What the engine is lent for one call.
pub struct Context<'a> {
    /// The open transaction; the driver commits it.
    pub vault: &'a mut dyn VaultTransaction,
    /// The time.
    pub now: UnixMillis,
    /// For keys, ids, tokens and jitter.
    pub rng: &'a mut dyn CryptoRng,
}

/// The engine. See the [module](self) for how it is driven.
pub struct Engine {
    parts: Parts,
    lent: Lent,
}

impl Engine {
    /// Reads what is in the vault. Nothing is asked of the server before an input comes.
    ///
    /// # Errors
    /// [`EngineError`] if the vault fails or holds what this version can't read.
    pub fn open(context: &mut Context<'_>) -> Result<Self, EngineError> {
        Ok(Self { parts: Parts::open(context.vault)?, lent: Lent::open(context.vault)? })
    }

    /// Takes one input. The effects are to be performed in order, after the transaction has committed.
    ///
    /// # Errors
    /// [`EngineError`]: drop the engine and roll the transaction back.
    pub fn handle(&mut self, context: &mut Context<'_>, input: Input) -> Result<Vec<Effect>, EngineError> {
        self.handle_all(context, [input])
    }

    /// Takes several inputs, in their order. What they deliver is acked together, and what they change written together.
    ///
    /// # Errors
    /// [`EngineError`]: drop the engine and roll the transaction back.
    pub fn handle_all(
        &mut self,
        context: &mut Context<'_>,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<Vec<Effect>, EngineError> {
        for input in inputs {
            self.take_in(context, input)?;
        }
        self.parts.link.flush_acks(&mut self.lent.effects);
        self.flush(context)?;
        Ok(std::mem::take(&mut self.lent.effects))
    }

    fn take_in(&mut self, context: &mut Context<'_>, input: Input) -> Result<(), EngineError> {
        let (parts, mut step) = self.step(context);
        let step = &mut step;
        match input {
            Input::Command { id, command } => route::on_command(parts, step, id, command)?,
            Input::Response { request, result } => route::on_response(parts, step, request, result)?,
            Input::StreamOpened => parts.link.opened(),
            Input::Frame(frame) => route::on_frame(parts, step, frame)?,
            Input::StreamClosed { code } => parts.link.closed(step, code),
            Input::StreamRefused(refusal) => parts.link.refused(step, refusal),
            Input::Tick => {}
        }
        route::advance(parts, step)?;
        if let Some(at) = self.lent.wake.take() {
            self.lent.effects.push(Effect::WakeAt(at));
        }
        Ok(())
    }

    fn step<'a>(&'a mut self, context: &'a mut Context<'_>) -> (&'a mut Parts, Step<'a>) {
        let step = Step { vault: context.vault, now: context.now, rng: context.rng, lent: &mut self.lent };
        (&mut self.parts, step)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.lent.peers.flush(context.vault)?;
        self.parts.flush(context.vault)
    }

    /// Tells that the vault was found to be rolled back when it was opened: its ratchets are not used for sending again.
    /// Do this in a transaction of its own before anything else, and only then settle it with the vault. May be repeated.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn vault_rolled_back(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let (parts, mut step) = self.step(context);
        route::vault_rolled_back(parts, &mut step)?;
        // Nobody listens yet; what there is to show was noted.
        self.lent.effects.clear();
        self.flush(context)
    }

    /// Returns who this profile is; `None` before it is registered or logged in.
    #[must_use]
    pub fn whoami(&self) -> Option<AccountInfo> {
        self.parts.account.info()
    }

    /// Returns the devices of the own account, as far as this device knows.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.parts.account.devices()
    }

    /// Returns a contact by name.
    #[must_use]
    pub fn contact(&self, name: &Username) -> Option<ContactInfo> {
        self.parts.directory.info(name)
    }

    /// Returns all contacts: the named ones by name, then the others by account id.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactInfo> {
        self.parts.directory.all()
    }

    /// Returns the number to compare with a contact. If an identity waits to be accepted it is of that one, because that
    /// is what a person has to look at first.
    #[must_use]
    pub fn safety_number(&self, name: &Username) -> Option<SafetyNumber> {
        self.parts.directory.safety_number(self.parts.account.me()?, name)
    }

    /// Returns the newest `limit` messages from and to a contact that were written at or after `since`, oldest first.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn history(
        &self,
        context: &mut Context<'_>,
        name: &Username,
        since: Option<UnixMillis>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, EngineError> {
        Timeline::conversation(context.vault, (name, self.parts.directory.account_of(name)), since, limit)
    }

    /// Returns at most `limit` notices from a position on that were not marked as printed, oldest first.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn notices(&self, context: &mut Context<'_>, from: u64, limit: usize) -> Result<Vec<Notice>, EngineError> {
        self.parts.timeline.unprinted(context.vault, from, limit)
    }

    /// Marks every notice up to this position as printed. Do so after the print was flushed.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn mark_printed(&mut self, context: &mut Context<'_>, position: u64) -> Result<(), EngineError> {
        self.parts.timeline.mark_printed(context.vault, position)?;
        self.flush(context)
    }

    /// Returns what waits to be accepted by the server, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<OutboxEntry> {
        self.parts.outbox.entries()
    }

    /// Returns whether something is to be sent that needs no more than a connection: messages, requests to send again and
    /// their answers, but nothing that waits for a person to accept an identity. A program that is about to disconnect
    /// waits for this to end, so that a repair does not need another connection for each of its steps.
    #[must_use]
    pub fn has_work_to_send(&self) -> bool {
        self.parts.outbox.has_work(|account| self.parts.directory.is_blocked(account))
    }

    /// Returns whether it is online, or tries to be.
    #[must_use]
    pub const fn is_wanted_online(&self) -> bool {
        self.parts.link.is_wanted()
    }

    /// Returns the profile at a glance.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn status(&self, context: &mut Context<'_>) -> Result<Status, EngineError> {
        let Parts { account, outbox, inbox, timeline, link, .. } = &self.parts;
        Ok(Status {
            logged_in: account.is_logged_in(),
            online: link.is_ready(),
            outbox: u64::try_from(outbox.entries().len()).unwrap_or(u64::MAX),
            held: inbox.count(),
            unprinted: timeline.count_unprinted(context.vault)?,
            number: outbox.number(),
            recovering: account.is_recovering(),
            lost_numbers: outbox.lost_numbers(),
        })
    }
}
