//! What becomes of a message: accepted, refused for now, refused until something else is known, or given up.

use sealpost_api::frames::{Refused, Sent};
use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::calls::Waiting;
use super::codec::Bin;
use super::command::{CommandError, CommandId, Outcome};
use super::event::Event;
use super::model::MessageReceipt;
use super::record::{Body, Record};
use super::state::{self, Bin32, HistoryRow, ItemBody, SentRecord};
use super::{Context, Engine, EngineError, Lane};
use crate::vault::{Log, Table};

/// Longest wait before a message is encrypted anew after its devices did not match, in ms.
const MISMATCH_WAIT_MAX_MS: u64 = 60_000;

impl Engine {
    pub(super) fn on_sent(&mut self, context: &mut Context<'_>, sent: &Sent) -> Result<(), EngineError> {
        let number = sent.number.0;
        let Some(item) = self.in_flight.remove(&number) else { return Ok(()) };
        self.sent_here.remove(&number);
        self.retry_at.remove(&number);
        self.sender.highest_sent = self.sender.highest_sent.max(number);
        self.sender.resend.remove(&number);
        context.save(Table::Meta, state::SENDER, &self.sender)?;
        let key = number.to_be_bytes();
        if let Some(mut record) = context.load::<SentRecord>(Table::Sent, &key, "a sent message")? {
            record.accepted = true;
            context.save(Table::Sent, &key, &record)?;
        }
        let Some(position) = item else { return Ok(()) };
        let Some(item) = self.remove_item(context, position)? else { return Ok(()) };
        let accepted_at = if sent.accepted_at == 0 { context.now } else { UnixMillis(sent.accepted_at) };
        match (&item.body, &item.name, &item.device) {
            (ItemBody::Text { history }, Some(Bin(to)), None) => {
                if let Some(mut row) = context.at::<HistoryRow>(Log::History, *history, "a message")? {
                    row.accepted_at = Some(accepted_at.0);
                    row.number = Some(number);
                    row.account.clone_from(&item.account);
                    context.rewrite(Log::History, *history, &row)?;
                }
                let receipt = MessageReceipt {
                    to: to.clone(),
                    message_id: item.message_id,
                    number: sent.number,
                    accepted_at,
                    skipped: sent.skipped.iter().map(|skipped| skipped.device).collect(),
                };
                let id = self.sender_of(position);
                self.emit(Event::Sent { id, receipt: receipt.clone() });
                if let Some(id) = id {
                    self.complete(id, Ok(Outcome::Sent(receipt)));
                }
            }
            (ItemBody::Repair { .. }, _, Some(Bin(address))) => {
                self.peer(*address).repair.awaiting = true;
                self.save_peer(context, *address)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The command that waits for an item.
    fn sender_of(&self, position: u64) -> Option<CommandId> {
        self.waiting
            .iter()
            .find(|(_, waiting)| matches!(waiting, Waiting::Send { item } if *item == position))
            .map(|(id, _)| *id)
    }

    pub(super) fn on_refused(&mut self, context: &mut Context<'_>, refused: &Refused) -> Result<(), EngineError> {
        let number = refused.number.0;
        let Some(item) = self.in_flight.get(&number).copied() else { return Ok(()) };
        self.sent_here.remove(&number);
        if refused.code == ProblemCode::Superseded {
            // This socket is about to be closed; the next one tells.
            self.sent_here.insert(number);
            return Ok(());
        }
        let retry_after = match (refused.retry_after, refused.code.class()) {
            (0, ProblemClass::Server) => 1000,
            (ms, _) => ms,
        };
        if retry_after > 0 && refused.code != ProblemCode::DevicesMismatch {
            let at = context.now.saturating_add(retry_after);
            self.retry_at.insert(number, at);
            self.wake_at(at);
            return Ok(());
        }
        self.renumber(context, number)?;
        let Some(position) = item else { return Ok(()) };
        let Some(item) = self.items.get_mut(&position) else { return Ok(()) };
        item.unknown |= refused.maybe_stored;
        match refused.code {
            ProblemCode::DevicesMismatch => {
                item.attempts = item.attempts.saturating_add(1);
                let wait = 250_u64.checked_shl(item.attempts.min(16)).unwrap_or(u64::MAX).min(MISMATCH_WAIT_MAX_MS);
                let (first, account) = (item.attempts == 1, item.account.as_ref().map(|account| account.0));
                if let Some(account) = account {
                    self.unreachable_devices.retain(|address| address.account != account);
                    self.wanted_lists.insert(account);
                }
                if !first {
                    self.wait(context, position, wait);
                }
                self.save_item(context, position)
            }
            // The number is used up, whoever did that; the message takes another and keeps its id.
            ProblemCode::NumberConflict | ProblemCode::NumberTooOld => {
                item.unknown = true;
                self.save_item(context, position)
            }
            code => self.give_up(context, position, code),
        }
    }

    /// Gives a message up. If it has places in streams already, an empty record takes them.
    fn give_up(&mut self, context: &mut Context<'_>, position: u64, code: ProblemCode) -> Result<(), EngineError> {
        let error = CommandError::Refused { code, retry_after: None };
        let Some((to, message_id)) = self.discard(context, position)? else { return Ok(()) };
        let id = self.sender_of(position);
        self.emit(Event::Refused { id, to, message_id, code });
        if let Some(id) = id {
            self.complete(id, Err(error));
        }
        Ok(())
    }

    /// Takes a message out of outbox and history. If it has places in streams, an empty record stays in its place.
    fn discard(
        &mut self,
        context: &mut Context<'_>,
        position: u64,
    ) -> Result<Option<(Username, MessageId)>, EngineError> {
        let Some(item) = self.items.get(&position) else { return Ok(None) };
        let (name, message_id, body) = (item.name.clone(), item.message_id, item.body.clone());
        let written_here = matches!(body, ItemBody::Text { .. }) && item.device.is_none();
        // What may have been accepted after all stays in the history.
        if let (ItemBody::Text { history }, true, false) = (&body, written_here, item.unknown) {
            context.vault.remove(Log::History, *history)?;
        }
        if item.assigned.is_empty() || matches!(body, ItemBody::Empty) {
            self.remove_item(context, position)?;
        } else if let Some(item) = self.items.get_mut(&position) {
            item.body = ItemBody::Empty;
            item.name = None;
            item.unknown = false;
            let item = item.clone();
            for place in &item.assigned {
                let record = Record {
                    number: MessageNumber(0),
                    message_id,
                    stream: place.stream,
                    counter: place.counter,
                    previous: place.previous,
                    sent_at: UnixMillis(item.sent_at),
                    name: None,
                    body: Body::Empty,
                };
                let peer = self.peer(place.address);
                if peer.out_stream == place.stream && peer.out_counter == place.counter {
                    peer.out_hash = Bin32(record.hash());
                    self.save_peer(context, place.address)?;
                }
            }
            self.save_item(context, position)?;
        }
        Ok(name.filter(|_| written_here).map(|Bin(name)| (name, message_id)))
    }

    /// Nobody answers to this name or account: everything for it is given up, but for what may have been accepted.
    pub(super) fn refuse_lane(
        &mut self,
        context: &mut Context<'_>,
        lane: &Lane,
        code: ProblemCode,
    ) -> Result<(), EngineError> {
        let positions = self.lanes.get(lane).cloned().unwrap_or_default();
        for position in positions {
            if self.items.get(&position).is_some_and(|item| item.number.is_none()) {
                self.give_up(context, position, code)?;
            }
        }
        Ok(())
    }

    /// A contact's identity has changed: whoever waits for a message to it is told, and that message is not kept, unless
    /// it may have been accepted. What waited in the outbox before goes on waiting.
    pub(super) fn identity_blocks(&mut self, context: &mut Context<'_>, account: AccountId) -> Result<(), EngineError> {
        let positions = self.lanes.get(&Lane::Account(account)).cloned().unwrap_or_default();
        for position in positions {
            let Some(item) = self.items.get(&position) else { continue };
            let Some(id) = self.sender_of(position) else { continue };
            let Some(Bin(name)) = item.name.clone() else { continue };
            if item.number.is_none() && !item.unknown {
                let message_id = item.message_id;
                self.discard(context, position)?;
                self.emit(Event::Blocked { to: name.clone(), message_id });
            }
            self.complete(id, Err(CommandError::IdentityChanged { name }));
        }
        Ok(())
    }
}
