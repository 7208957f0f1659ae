//! The outbox: what is written here and not accepted yet. First in, first out for each recipient, one at a time, so that
//! nothing can overtake.
//!
//! A message's place in each recipient device's stream is fixed when it is first encrypted. A number belongs to its bytes
//! for ever: after a lost answer the same bytes go out under the same number; what is encrypted anew takes a new one.

use bytes::Bytes;
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind};
use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::limits::{IN_FLIGHT_MAX, NUMBER_WINDOW, QUEUE_RETENTION_MILLIS, TEXT_MAX_BYTES};
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, RemoteDevice, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};
use zeroize::Zeroizing;

use super::calls::Waiting;
use super::codec::Bin;
use super::command::{CommandError, CommandId, InvalidCommand};
use super::effect::Effect;
use super::event::Event;
use super::record::{Body, Failed, Record};
use super::state::{self, Assigned, Bin32, HistoryRow, Item, ItemBody, SentCopy, SentRecord};
use super::{Context, Engine, EngineError, Lane, Link};
use crate::vault::{Log, Table};

/// Messages in the outbox: as many as a recipient's queue takes.
const OUTBOX_MAX: usize = 10_000;
/// Wait before a recipient without any usable device is tried again, in ms.
const NO_DEVICE_WAIT_MS: u64 = 30_000;
/// Old records dropped with each new one: more than one, so that a backlog shrinks.
const PRUNED_A_TIME: u32 = 4;

impl Item {
    /// Whether it goes to this device alone.
    pub(super) fn goes_to(&self, address: &DeviceAddress) -> bool {
        self.device.as_ref().is_some_and(|device| device.0 == *address)
    }

    pub(super) fn lane(&self) -> Lane {
        match (&self.account, &self.name) {
            (Some(Bin(account)), _) => Lane::Account(*account),
            (None, Some(Bin(name))) => Lane::Name(name.clone()),
            // Every item has one or the other.
            (None, None) => Lane::Account(AccountId::from_bytes([0; 16])),
        }
    }
}

impl Engine {
    /// Puts a text into the outbox and into the history.
    pub(super) fn queue_text(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        to: Username,
        text: String,
    ) -> Result<(), EngineError> {
        let Some(me) = &self.me else { return Err(EngineError::Internal) };
        let account = self.names.get(&to).copied();
        let pending = account.and_then(|account| self.contacts.get(&account)).is_some_and(|it| it.pending.is_some());
        let refused = if text.is_empty() || text.len() > TEXT_MAX_BYTES {
            Some(InvalidCommand::TextLength.into())
        } else if to == me.username {
            Some(InvalidCommand::ToSelf.into())
        } else if self.items.len() >= OUTBOX_MAX {
            Some(InvalidCommand::OutboxFull.into())
        } else if pending {
            Some(CommandError::IdentityChanged { name: to.clone() })
        } else {
            None
        };
        if let Some(error) = refused {
            self.complete(id, Err(error));
            return Ok(());
        }
        if let Some(account) = account {
            self.befriend(context, account)?;
        }
        let Some(me) = &self.me else { return Err(EngineError::Internal) };
        let message_id = MessageId::from_bytes(context.draw());
        let row = HistoryRow {
            sent: true,
            peer: to.as_str().to_owned(),
            account: account.map(Bin),
            device: me.address.device.get(),
            message_id,
            sent_at: context.now.0,
            accepted_at: None,
            number: None,
            text: Zeroizing::new(text),
            flags: Vec::new(),
        };
        let history = context.push(Log::History, &row)?;
        let item = Item {
            name: Some(Bin(to.clone())),
            account: account.map(Bin),
            device: None,
            body: ItemBody::Text { history },
            message_id,
            sent_at: context.now.0,
            assigned: Vec::new(),
            number: None,
            unknown: false,
            wait_until: 0,
            attempts: 0,
        };
        let position = self.enqueue(context, item)?;
        self.emit(Event::Queued { id, to, message_id });
        self.waiting.insert(id, Waiting::Send { item: position });
        self.online_wanted = true;
        Ok(())
    }

    pub(super) fn enqueue(&mut self, context: &mut Context<'_>, item: Item) -> Result<u64, EngineError> {
        let position = context.push(Log::Outbox, &item)?;
        self.lanes.entry(item.lane()).or_default().insert(position);
        self.items.insert(position, item);
        Ok(position)
    }

    pub(super) fn save_item(&self, context: &mut Context<'_>, position: u64) -> Result<(), EngineError> {
        match self.items.get(&position) {
            Some(item) => context.rewrite(Log::Outbox, position, item),
            None => Ok(()),
        }
    }

    pub(super) fn remove_item(
        &mut self,
        context: &mut Context<'_>,
        position: u64,
    ) -> Result<Option<Item>, EngineError> {
        context.vault.remove(Log::Outbox, position)?;
        let Some(item) = self.items.remove(&position) else { return Ok(None) };
        self.leave_lane(&item.lane(), position);
        if let Some(number) = item.number {
            self.in_flight.remove(&number);
        }
        Ok(Some(item))
    }

    fn leave_lane(&mut self, lane: &Lane, position: u64) {
        if let Some(positions) = self.lanes.get_mut(lane) {
            positions.remove(&position);
            if positions.is_empty() {
                self.lanes.remove(lane);
            }
        }
    }

    pub(super) fn advance_outbox(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if self.link == Link::Ready {
            self.send_again(context)?;
        }
        let heads: Vec<(AccountId, u64)> = self
            .lanes
            .iter()
            .filter_map(|(lane, positions)| match lane {
                Lane::Account(account) => Some((*account, *positions.first()?)),
                Lane::Name(_) => None,
            })
            .collect();
        for (account, position) in heads {
            self.advance_item(context, account, position)?;
        }
        Ok(())
    }

    /// Sends what was sent before and not answered: the same bytes under the same number.
    fn send_again(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let Some(oldest) = self.in_flight.keys().next().copied() else { return Ok(()) };
        let numbers: Vec<u64> = self
            .in_flight
            .range(..oldest.saturating_add(IN_FLIGHT_MAX))
            .map(|(number, _)| *number)
            .filter(|number| !self.sent_here.contains(number))
            .collect();
        for number in numbers {
            if let Some(retry_at) = self.retry_at.get(&number).copied().filter(|at| *at > context.now) {
                self.wake_at(retry_at);
                continue;
            }
            match context.vault.get(Table::Sealed, &number.to_be_bytes())? {
                Some(frame) => {
                    self.sent_here.insert(number);
                    self.effects.push(Effect::SendFrame(Bytes::copy_from_slice(&frame)));
                }
                // Its bytes are gone: it is encrypted anew, and recognised by its message id.
                None => self.renumber(context, number)?,
            }
        }
        Ok(())
    }

    /// Gives an unanswered sending up; its message is encrypted anew.
    pub(super) fn renumber(&mut self, context: &mut Context<'_>, number: u64) -> Result<(), EngineError> {
        let item = self.in_flight.remove(&number).flatten();
        self.sent_here.remove(&number);
        self.retry_at.remove(&number);
        if let Some(position) = item {
            if let Some(item) = self.items.get_mut(&position) {
                item.number = None;
            }
            self.save_item(context, position)?;
        } else if self.sender.resend.remove(&number) {
            self.sender.lost.push(number);
            context.save(Table::Meta, state::SENDER, &self.sender)?;
        }
        Ok(())
    }

    fn advance_item(
        &mut self,
        context: &mut Context<'_>,
        account: AccountId,
        position: u64,
    ) -> Result<(), EngineError> {
        let Some(item) = self.items.get(&position) else { return Ok(()) };
        if item.number.is_some() || self.wanted_lists.contains(&account) {
            return Ok(());
        }
        let wait_until = UnixMillis(item.wait_until);
        if wait_until > context.now {
            self.wake_at(wait_until);
            return Ok(());
        }
        let alone = self.lanes.get(&Lane::Account(account)).is_none_or(|positions| positions.len() == 1);
        if alone && matches!(item.body, ItemBody::Empty) && item.device.is_none() {
            // It only keeps the count for what comes after it.
            return Ok(());
        }
        let Some(contact) = self.contacts.get(&account) else { return Ok(()) };
        if contact.pending.is_some() {
            return Ok(());
        }
        let fresh = matches!(item.body, ItemBody::Repair { .. });
        let targets: Vec<DeviceAddress> = match &item.device {
            Some(Bin(address)) if contact.list.contains(address) && !self.unreachable_devices.contains(address) => {
                vec![*address]
            }
            // Gone, or away for so long that it has no keys and gets no copies: the others need not wait for it.
            Some(_) => {
                self.remove_item(context, position)?;
                return Ok(());
            }
            None => contact.list.addresses().filter(|it| !self.unreachable_devices.contains(it)).collect(),
        };
        if targets.is_empty() {
            self.unreachable_devices.retain(|address| address.account != account);
            self.wait(context, position, NO_DEVICE_WAIT_MS);
            return Ok(());
        }
        let listed: Vec<Option<RemoteDevice>> =
            targets.iter().map(|address| RemoteDevice::from_list(&contact.list, address.device)).collect();
        let mut missing = Vec::new();
        for (address, listed) in targets.iter().zip(listed) {
            // Only a session with the keys of the pinned list: another could have been begun before that was pinned.
            let pair = self
                .pair(context, *address)?
                .filter(|pair| listed.as_ref() == Some(pair.remote()) || without(Countermeasure::IdentityPin));
            let has_session = pair.is_some_and(|pair| pair.has_sending_session());
            if !has_session || (fresh && !self.fresh_sessions.contains(address)) {
                missing.push(address.device);
            }
        }
        if !missing.is_empty() {
            return self.take_bundles(context, account, &missing);
        }
        let next = self.sender.number.saturating_add(1);
        let oldest = self.in_flight.keys().next().copied().unwrap_or(next);
        let listed = self.me.as_ref().is_some_and(|me| me.list.contains(&me.address));
        if self.link != Link::Ready || next.saturating_sub(oldest) >= IN_FLIGHT_MAX || !listed {
            return Ok(());
        }
        self.seal(context, account, position, &targets)
    }

    pub(super) fn wait(&mut self, context: &mut Context<'_>, position: u64, ms: u64) {
        let until = context.now.saturating_add(ms);
        if let Some(item) = self.items.get_mut(&position) {
            item.wait_until = until.0;
        }
        self.wake_at(until);
    }

    /// Encrypts a message for each device and hands it to the stream: ratchets, counters, number and bytes in one
    /// transaction, before anything leaves.
    fn seal(
        &mut self,
        context: &mut Context<'_>,
        account: AccountId,
        position: u64,
        targets: &[DeviceAddress],
    ) -> Result<(), EngineError> {
        let number = self.sender.number.checked_add(1).ok_or(EngineError::Internal)?;
        let Some(mut item) = self.items.get(&position).cloned() else { return Ok(()) };
        let (body, history) = match &item.body {
            ItemBody::Empty => (Body::Empty, None),
            ItemBody::Repair { failed } => {
                let failed = failed
                    .iter()
                    .map(|(number, hash)| Failed { number: MessageNumber(*number), ciphertext_hash: hash.0 });
                (Body::Repair(failed.collect()), None)
            }
            ItemBody::Text { history } => {
                let row: Option<HistoryRow> = context.at(Log::History, *history, "a message")?;
                let row = row.ok_or(EngineError::Record { what: "a message" })?;
                (Body::Text(row.text), Some(*history))
            }
        };
        self.sender.number = number;
        let mut copies = Vec::with_capacity(targets.len());
        let mut sent_copies = Vec::with_capacity(targets.len());
        for address in targets {
            let Some(me) = &self.me else { return Ok(()) };
            let name = me.username.clone();
            let place = item.assigned.iter().find(|place| place.address == *address).copied();
            let stream = self.sender.stream;
            let peer = self.peer(*address);
            let new_place = place.is_none();
            let place = place.unwrap_or_else(|| {
                if peer.out_stream != stream {
                    peer.out_stream = stream;
                    peer.out_counter = 0;
                    peer.out_hash = Bin32::default();
                }
                peer.out_counter = peer.out_counter.saturating_add(1);
                Assigned { address: *address, stream, counter: peer.out_counter, previous: peer.out_hash.0 }
            });
            let record = Record {
                number: MessageNumber(number),
                message_id: item.message_id,
                stream: place.stream,
                counter: place.counter,
                previous: place.previous,
                sent_at: UnixMillis(item.sent_at),
                name: (!peer.heard).then_some(name),
                body: body.clone(),
            };
            if new_place {
                peer.out_hash = Bin32(record.hash());
                self.save_peer(context, *address)?;
                item.assigned.push(place);
            }
            // Reading another device's sessions may have emptied the memory of them.
            self.pair(context, *address)?;
            let (Some(me), Some(pair)) = (&self.me, self.sessions.get_mut(address)) else {
                return Err(EngineError::Internal);
            };
            let Ok(ciphertext) = pair.encrypt(context.rng, &me.local(), &record.encode()) else {
                // Its chain is used up: begin another session. The number is not used again.
                pair.archive_active();
                self.save_pair(context, *address)?;
                context.save(Table::Meta, state::SENDER, &self.sender)?;
                self.items.insert(position, item);
                self.wait(context, position, 1000);
                return self.save_item(context, position);
            };
            self.save_pair(context, *address)?;
            sent_copies.push(SentCopy { place, repaired: 0 });
            copies.push(Copy {
                device: address.device,
                registration: address.registration,
                ciphertext: ciphertext.into(),
            });
            self.fresh_sessions.remove(address);
        }
        let kind = if item.device.is_some() { SendKind::Device } else { SendKind::Message };
        let frame = ClientFrame::Send(Send { number: MessageNumber(number), to: account, kind, copies }).encode();
        let record = SentRecord {
            message_id: item.message_id,
            history,
            sent_at: item.sent_at,
            encrypted_at: context.now.0,
            accepted: false,
            copies: sent_copies,
        };
        context.vault.put(Table::Sealed, &number.to_be_bytes(), &frame)?;
        context.save(Table::Sent, &number.to_be_bytes(), &record)?;
        // Whether an earlier sending may have been accepted is not changed by another.
        item.number = Some(number);
        self.items.insert(position, item);
        self.save_item(context, position)?;
        self.prune(context)?;
        context.save(Table::Meta, state::SENDER, &self.sender)?;
        self.in_flight.insert(number, Some(position));
        self.sent_here.insert(number);
        self.effects.push(Effect::SendFrame(frame));
        Ok(())
    }

    /// Drops sealed frames below the window, and records of what was sent more than 30 days ago.
    fn prune(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let number = self.sender.number;
        for _ in 0..PRUNED_A_TIME {
            if self.sender.oldest_sealed.saturating_add(NUMBER_WINDOW) <= number {
                context.erase(Table::Sealed, &self.sender.oldest_sealed.to_be_bytes())?;
                self.sender.oldest_sealed = self.sender.oldest_sealed.saturating_add(1);
            }
            if let Some(next) = self.sender.jumps.remove(&self.sender.oldest_record) {
                self.sender.oldest_record = next;
            }
            let key = self.sender.oldest_record.to_be_bytes();
            if self.sender.oldest_record < number {
                let record: Option<SentRecord> = context.load(Table::Sent, &key, "a sent message")?;
                let kept_until = record.map(|it| UnixMillis(it.encrypted_at).saturating_add(QUEUE_RETENTION_MILLIS));
                if kept_until.is_some_and(|until| until > context.now) {
                    continue;
                }
                context.erase(Table::Sent, &key)?;
                self.sender.oldest_record = self.sender.oldest_record.saturating_add(1);
            }
        }
        Ok(())
    }

    /// A name leads to an account now: what waits for the name waits for the account.
    pub(super) fn resolve_lane(&mut self, context: &mut Context<'_>, name: &Username) -> Result<(), EngineError> {
        let lane = Lane::Name(name.clone());
        let Some(account) = self.names.get(name).copied() else {
            // It leads to this very account.
            return self.refuse_lane(context, &lane, ProblemCode::RecipientUnknown);
        };
        self.rehome(context, &lane, account)?;
        if self.contacts.get(&account).is_some_and(|contact| contact.pending.is_some()) {
            self.identity_blocks(context, account)?;
        }
        Ok(())
    }

    /// A name leads to another account, as accepted: messages to the name go there.
    pub(super) fn move_lane(
        &mut self,
        context: &mut Context<'_>,
        from: AccountId,
        to: AccountId,
    ) -> Result<(), EngineError> {
        self.rehome(context, &Lane::Account(from), to)
    }

    fn rehome(&mut self, context: &mut Context<'_>, lane: &Lane, account: AccountId) -> Result<(), EngineError> {
        for position in self.lanes.remove(lane).unwrap_or_default() {
            let Some(item) = self.items.get_mut(&position) else { continue };
            if item.name.is_some() {
                item.account = Some(Bin(account));
                item.assigned.retain(|place| place.address.account == account);
            }
            self.lanes.entry(item.lane()).or_default().insert(position);
            self.save_item(context, position)?;
        }
        Ok(())
    }

    /// After a rollback: everything is encrypted anew, in the new stream and in new sessions, and recognised by its
    /// message id if it was accepted before.
    pub(super) fn forget_sendings(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.in_flight.clear();
        self.sent_here.clear();
        self.retry_at.clear();
        for position in self.items.keys().copied().collect::<Vec<_>>() {
            let Some(item) = self.items.get_mut(&position) else { continue };
            if matches!(item.body, ItemBody::Empty) {
                self.remove_item(context, position)?;
                continue;
            }
            item.unknown |= item.number.is_some();
            item.number = None;
            item.attempts = 0;
            item.wait_until = 0;
            if item.device.is_none() {
                item.assigned.clear();
            }
            self.save_item(context, position)?;
        }
        Ok(())
    }
}
