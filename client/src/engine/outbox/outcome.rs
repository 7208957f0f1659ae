//! What becomes of a message: accepted, refused for now, refused until something else is known, or given up.

use sealpost_api::frames::{Expired, Refused, Sent};
use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::message::{Item, Lane, Recipient};
use super::queue::Outbox;
use crate::engine::codec::Bin32;
use crate::engine::command::{CommandError, Outcome};
use crate::engine::content::envelope::Envelope;
use crate::engine::content::{Draft, Empty};
use crate::engine::error::EngineError;
use crate::engine::event::Event;
use crate::engine::fact::{Fact, Notable};
use crate::engine::model::MessageReceipt;
use crate::engine::step::Step;

/// Longest wait before a message is encrypted anew after its devices did not match, in ms.
const MISMATCH_WAIT_MAX_MS: u64 = 60_000;
/// Wait after a refusal that is the server's own trouble and names no time, in ms.
const SERVER_TROUBLE_WAIT_MS: u64 = 1_000;

impl Outbox {
    /// Handles that the server accepted a number.
    pub(crate) fn on_sent(&mut self, step: &mut Step<'_>, sent: &Sent) -> Result<(), EngineError> {
        let number = sent.number.0;
        let Some(position) = self.flight.remove(number) else { return Ok(()) };
        let sender = self.sender.edit();
        sender.highest_sent = sender.highest_sent.max(number);
        sender.resend.remove(&number);
        if let Some(record) = self.sent.edit(step.vault, &number)? {
            record.accepted = true;
        }
        let Some(position) = position else { return Ok(()) };
        let Some(item) = self.remove(step.vault, position)? else { return Ok(()) };
        let at = if sent.accepted_at == 0 { step.now } else { UnixMillis(sent.accepted_at) };
        if let (Some(history), None) = (item.draft.history(), item.recipient.device()) {
            step.tell(Fact::Accepted { history, account: item.recipient.account(), number, at });
        }
        if let (Draft::Repair { .. }, Recipient::Device(address)) = (&item.draft, &item.recipient) {
            step.tell(Fact::RepairSent(*address));
        }
        if let Some(to) = item.recipient.name() {
            let receipt = MessageReceipt {
                to: to.clone(),
                message_id: item.message_id,
                number: sent.number,
                accepted_at: at,
                skipped: sent.skipped.iter().map(|skipped| skipped.device).collect(),
            };
            let id = step.lent.commands.sender_of(position);
            step.emit(Event::Sent { id, receipt: receipt.clone() });
            if let Some(id) = id {
                step.complete(id, Ok(Outcome::Sent(receipt)));
            }
        }
        Ok(())
    }

    /// Handles that the server refused a number.
    pub(crate) fn on_refused(&mut self, step: &mut Step<'_>, refused: &Refused) -> Result<(), EngineError> {
        let number = refused.number.0;
        let Some(position) = self.flight.get(number) else { return Ok(()) };
        if refused.code == ProblemCode::Superseded {
            // This socket is about to be closed; the next one tells.
            self.flight.sent(number);
            return Ok(());
        }
        let retry_after = match (refused.retry_after, refused.code.class()) {
            (0, ProblemClass::Server) => SERVER_TROUBLE_WAIT_MS,
            (ms, _) => ms,
        };
        if retry_after > 0 && refused.code != ProblemCode::DevicesMismatch {
            let at = step.now.saturating_add(retry_after);
            self.flight.retry_from(number, at);
            step.wake_at(at);
            return Ok(());
        }
        self.renumber(number);
        let Some(position) = position else { return Ok(()) };
        let Some(item) = self.items.edit(position) else { return Ok(()) };
        item.unknown |= refused.maybe_stored;
        match refused.code {
            ProblemCode::DevicesMismatch => {
                item.attempts = item.attempts.saturating_add(1);
                let wait = 250_u64.checked_shl(item.attempts.min(16)).unwrap_or(u64::MAX).min(MISMATCH_WAIT_MAX_MS);
                let first = item.attempts == 1;
                if let Some(account) = item.recipient.account() {
                    step.tell(Fact::DevicesMismatch(account));
                }
                if !first {
                    self.wait(step, position, wait);
                }
                Ok(())
            }
            // The number is used up in any case. The message takes another one and keeps its id.
            ProblemCode::NumberConflict | ProblemCode::NumberTooOld => {
                item.unknown = true;
                Ok(())
            }
            code => self.give_up(step, position, code),
        }
    }

    /// Gives a message up. If it has places in sequences already, an empty content takes them.
    fn give_up(&mut self, step: &mut Step<'_>, position: u64, code: ProblemCode) -> Result<(), EngineError> {
        let error = CommandError::Refused { code, retry_after: None };
        let Some((to, message_id)) = self.discard(step, position)? else { return Ok(()) };
        let id = step.lent.commands.sender_of(position);
        step.emit(Event::Refused { id, to, message_id, code });
        if let Some(id) = id {
            step.complete(id, Err(error));
        }
        Ok(())
    }

    /// Takes a message out of outbox and history. If it has places in sequences, an empty content stays in its place.
    fn discard(&mut self, step: &mut Step<'_>, position: u64) -> Result<Option<(Username, MessageId)>, EngineError> {
        let Some(item) = self.items.get(position) else { return Ok(None) };
        let written = item.recipient.name().cloned().filter(|_| !item.is_empty()).map(|name| (name, item.message_id));
        // What may have been accepted after all stays in the history.
        if let (Some(history), None, false) = (item.draft.history(), item.recipient.device(), item.unknown) {
            step.tell(Fact::Withdrawn { history });
        }
        if item.assigned.is_empty() || item.is_empty() {
            self.remove(step.vault, position)?;
        } else if let Some(item) = self.items.edit(position) {
            item.draft = Draft::Empty;
            item.unknown = false;
            if let Recipient::Named(_, account) = item.recipient {
                item.recipient = Recipient::Account(account);
            }
            keep_places(step, item);
        }
        Ok(written)
    }

    /// Gives up everything in a lane whose name leads to nobody, except what may have been accepted.
    pub(crate) fn refuse_lane(
        &mut self,
        step: &mut Step<'_>,
        lane: &Lane,
        code: ProblemCode,
    ) -> Result<(), EngineError> {
        for position in self.in_lane(lane) {
            if self.items.get(position).is_some_and(|item| item.number.is_none()) {
                self.give_up(step, position, code)?;
            }
        }
        Ok(())
    }

    /// Blocks messages to a contact whose identity has changed. Each command that waits for such a message is told, and
    /// the message is not kept unless it may have been accepted. Messages that were in the outbox before continue to
    /// wait.
    pub(crate) fn identity_blocks(&mut self, step: &mut Step<'_>, account: AccountId) -> Result<(), EngineError> {
        for position in self.in_lane(&Lane::Account(account)) {
            let Some(item) = self.items.get(position) else { continue };
            let Some(id) = step.lent.commands.sender_of(position) else { continue };
            let Some(name) = item.recipient.name().cloned() else { continue };
            if item.is_unsent() {
                let message_id = item.message_id;
                self.discard(step, position)?;
                step.emit(Event::Blocked { to: name.clone(), message_id });
            }
            step.complete(id, Err(CommandError::IdentityChanged { name }));
        }
        Ok(())
    }

    /// Handles a notice that accepted messages will not be delivered.
    pub(crate) fn on_expired(&mut self, step: &mut Step<'_>, expired: Expired) -> Result<(), EngineError> {
        /// Messages named in one notice; the count says how many there are.
        const NAMED_MAX: usize = 64;
        let mut messages = Vec::new();
        for number in expired.numbers.iter().take(NAMED_MAX) {
            let record = self.sent.get(step.vault, &number.0)?;
            messages.extend(record.filter(|record| record.history.is_some()).map(|record| record.message_id));
        }
        step.note(Notable::Expired { expired, messages });
        Ok(())
    }
}

/// Replaces the messages at these positions by empty ones, whose hash the next records name.
fn keep_places(step: &mut Step<'_>, item: &Item) {
    for place in &item.assigned {
        let envelope = Envelope {
            number: MessageNumber(0),
            message_id: item.message_id,
            sequence: place.sequence,
            counter: place.counter,
            previous: place.previous,
            sent_at: item.sent_at,
            name: None,
            content: Empty.into(),
        };
        let peer = step.peer(place.address);
        if peer.out_sequence == place.sequence && peer.out_counter == place.counter {
            peer.out_hash = Bin32(envelope.hash());
        }
    }
}
