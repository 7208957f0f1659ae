//! Sending: what is due is encrypted for each device and handed to the stream. Ratchets, counters, number and bytes are
//! in one transaction, before anything leaves.

use bytes::Bytes;
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind};
use sealpost_api::ids::MessageNumber;
use sealpost_api::limits::{IN_FLIGHT_MAX, NUMBER_WINDOW};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::flight::Next;
use super::message::{Assigned, Lane};
use super::queue::Outbox;
use super::sent::{SentCopy, SentRecord};
use crate::engine::codec::Bin32;
use crate::engine::content::envelope::Envelope;
use crate::engine::content::{Content, Draft};
use crate::engine::effect::Effect;
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::records::{Contact, Me};
use crate::engine::step::Step;
use crate::vault::Table;

/// Wait before a recipient without any usable device is tried again, in ms.
const NO_DEVICE_WAIT_MS: u64 = 30_000;
/// Wait before a message is encrypted in another session, after one was used up, in ms.
const NEW_SESSION_WAIT_MS: u64 = 1_000;
/// Old records dropped with each new one: more than one, so that a backlog shrinks.
const PRUNED_A_TIME: u32 = 4;

/// A message whose turn it is.
pub(crate) struct Due {
    pub(crate) position: u64,
    pub(crate) account: AccountId,
    pub(crate) targets: Vec<DeviceAddress>,
    /// Whether it needs a session in which nothing was sent yet.
    pub(crate) fresh: bool,
    pub(crate) draft: Draft,
}

/// A message that is being encrypted under its number.
pub(crate) struct Sealing {
    due: Due,
    number: u64,
    copies: Vec<Copy>,
    sent: Vec<SentCopy>,
}

impl Outbox {
    /// Sends what was sent before and not answered: the same bytes under the same number.
    pub(crate) fn send_again(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        for (number, next) in self.flight.due(step.now) {
            if let Next::Wait(at) = next {
                step.wake_at(at);
                continue;
            }
            match step.vault.get(Table::Sealed, &number.to_be_bytes())? {
                Some(frame) => {
                    self.flight.sent(number);
                    step.effect(Effect::SendFrame(Bytes::copy_from_slice(&frame)));
                }
                // Its bytes are gone: it is encrypted anew, and recognised by its message id.
                None => self.renumber(number),
            }
        }
        Ok(())
    }

    /// Gives an unanswered sending up; its message is encrypted anew.
    pub(super) fn renumber(&mut self, number: u64) {
        match self.flight.remove(number).flatten() {
            Some(position) => {
                if let Some(item) = self.items.edit(position) {
                    item.number = None;
                }
            }
            None if self.sender.resend.contains(&number) => {
                let sender = self.sender.edit();
                sender.resend.remove(&number);
                sender.lost.push(number);
            }
            None => {}
        }
    }

    /// Returns the account and the position of the oldest message of each lane whose account is known.
    pub(crate) fn heads(&self) -> Vec<(AccountId, u64)> {
        let heads = self.lanes.iter().filter_map(|(lane, positions)| match lane {
            Lane::Account(account) => Some((*account, *positions.first()?)),
            Lane::Name(_) => None,
        });
        heads.collect()
    }

    /// Returns the oldest message of an account's lane if it is to be encrypted now.
    pub(crate) fn due(
        &mut self,
        step: &mut Step<'_>,
        (account, position): (AccountId, u64),
        contact: &Contact,
        is_away: impl Fn(&DeviceAddress) -> bool,
    ) -> Result<Option<Due>, EngineError> {
        let Some(item) = self.items.get(position) else { return Ok(None) };
        if item.number.is_some() {
            return Ok(None);
        }
        if item.wait_until > step.now {
            step.wake_at(item.wait_until);
            return Ok(None);
        }
        let device = item.recipient.device();
        let alone = self.lanes.get(&Lane::Account(account)).is_none_or(|positions| positions.len() == 1);
        // What only keeps the count for what comes after it can wait.
        if (alone && item.is_empty() && device.is_none()) || !contact.is_accepted() {
            return Ok(None);
        }
        let (fresh, draft) = (matches!(item.draft, Draft::Repair { .. }), item.draft.clone());
        let targets: Vec<DeviceAddress> = match device {
            Some(address) if contact.list.contains(&address) && !is_away(&address) => vec![address],
            // Gone, or away for so long that it has no keys and gets no copies: the others need not wait for it.
            Some(_) => {
                self.remove(step.vault, position)?;
                return Ok(None);
            }
            None => contact.list.addresses().filter(|address| !is_away(address)).collect(),
        };
        if targets.is_empty() {
            step.tell(Fact::NobodyReachable(account));
            self.wait(step, position, NO_DEVICE_WAIT_MS);
            return Ok(None);
        }
        Ok(Some(Due { position, account, targets, fresh, draft }))
    }

    /// Returns whether another number may be used now.
    pub(crate) fn has_room(&self) -> bool {
        let next = self.sender.number.saturating_add(1);
        next.saturating_sub(self.flight.oldest().unwrap_or(next)) < IN_FLIGHT_MAX
    }

    /// Takes the next number for a message.
    pub(crate) fn begin(&mut self, due: Due) -> Result<Sealing, EngineError> {
        let number = self.sender.number.checked_add(1).ok_or(EngineError::Internal)?;
        self.sender.edit().number = number;
        let count = due.targets.len();
        Ok(Sealing { due, number, copies: Vec::with_capacity(count), sent: Vec::with_capacity(count) })
    }

    /// Returns what is to be encrypted for a device. Its place in the device's sequence is fixed with the first call.
    pub(crate) fn envelope(
        &mut self,
        step: &mut Step<'_>,
        sealing: &mut Sealing,
        me: &Me,
        address: DeviceAddress,
        content: Content,
    ) -> Result<Envelope, EngineError> {
        let sequence = self.sender.sequence;
        let item = self.items.edit(sealing.due.position).ok_or(EngineError::Internal)?;
        let assigned = item.assigned.iter().find(|place| place.address == address).copied();
        let heard = step.lent.peers.get(&address).is_some_and(|peer| peer.heard);
        let place = assigned.unwrap_or_else(|| {
            let peer = step.peer(address);
            if peer.out_sequence != sequence {
                peer.out_sequence = sequence;
                peer.out_counter = 0;
                peer.out_hash = Bin32::default();
            }
            peer.out_counter = peer.out_counter.saturating_add(1);
            Assigned { address, sequence, counter: peer.out_counter, previous: peer.out_hash.0 }
        });
        let envelope = Envelope {
            number: MessageNumber(sealing.number),
            message_id: item.message_id,
            sequence: place.sequence,
            counter: place.counter,
            previous: place.previous,
            sent_at: item.sent_at,
            name: (!heard).then(|| me.username.clone()),
            content,
        };
        if assigned.is_none() {
            step.peer(address).out_hash = Bin32(envelope.hash());
            item.assigned.push(place);
        }
        sealing.sent.push(SentCopy { place, repaired: 0 });
        Ok(envelope)
    }

    /// Starts another session with a device whose session is used up. The number is not used again.
    pub(crate) fn session_used_up(&mut self, step: &mut Step<'_>, sealing: &Sealing) {
        self.wait(step, sealing.due.position, NEW_SESSION_WAIT_MS);
    }

    /// Hands the encrypted message to the stream.
    pub(crate) fn send(&mut self, step: &mut Step<'_>, sealing: Sealing) -> Result<(), EngineError> {
        let Sealing { due, number, copies, sent } = sealing;
        let item = self.items.edit(due.position).ok_or(EngineError::Internal)?;
        // Whether an earlier sending may have been accepted is not changed by another.
        item.number = Some(number);
        let kind = if item.recipient.device().is_some() { SendKind::Device } else { SendKind::Message };
        let frame = ClientFrame::Send(Send { number: MessageNumber(number), to: due.account, kind, copies }).encode();
        let record = SentRecord {
            message_id: item.message_id,
            history: due.draft.history(),
            sent_at: item.sent_at.0,
            encrypted_at: step.now.0,
            accepted: false,
            copies: sent,
        };
        step.vault.put(Table::Sealed, &number.to_be_bytes(), &frame)?;
        self.sent.put(step.vault, number, record)?;
        self.prune(step)?;
        self.flight.add(number, Some(due.position));
        self.flight.sent(number);
        step.effect(Effect::SendFrame(frame));
        Ok(())
    }

    /// Drops sealed frames below the window, and records of what was sent more than 30 days ago.
    fn prune(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        let sender = self.sender.edit();
        for _ in 0..PRUNED_A_TIME {
            if sender.oldest_sealed.saturating_add(NUMBER_WINDOW) > sender.number {
                break;
            }
            step.vault.delete(Table::Sealed, &sender.oldest_sealed.to_be_bytes())?;
            sender.oldest_sealed = sender.oldest_sealed.saturating_add(1);
        }
        for _ in 0..PRUNED_A_TIME {
            if let Some(next) = sender.jumps.remove(&sender.oldest_record) {
                sender.oldest_record = next;
            }
            let kept_until = self.sent.get(step.vault, &sender.oldest_record)?.map(SentRecord::kept_until);
            if sender.oldest_record >= sender.number || kept_until.is_some_and(|until| until > step.now) {
                break;
            }
            self.sent.remove(step.vault, &sender.oldest_record)?;
            sender.oldest_record = sender.oldest_record.saturating_add(1);
        }
        Ok(())
    }
}

impl Sealing {
    /// Returns the devices that it is encrypted for.
    pub(crate) fn targets(&self) -> Vec<DeviceAddress> {
        self.due.targets.clone()
    }

    /// Adds a device's copy.
    pub(crate) fn add(&mut self, address: DeviceAddress, ciphertext: Vec<u8>) {
        let (device, registration) = (address.device, address.registration);
        self.copies.push(Copy { device, registration, ciphertext: ciphertext.into() });
    }
}
