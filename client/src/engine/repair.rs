//! Repair: what could not be decrypted is asked for again, in a new session; what is asked for is encrypted anew from the
//! history. Within limits, because a server could make messages fail on purpose.

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::limits::QUEUE_RETENTION_MILLIS;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::codec::Bin;
use super::model::Undecryptable;
use super::notices::StoredNotice;
use super::record::{Failed, REPAIR_MAX};
use super::state::{Bin32, HistoryRow, Item, ItemBody, Peer, SentRecord};
use super::{Context, Engine, EngineError};
use crate::vault::{Log, Table};

/// Least time between two repairs with a device, in ms.
const REPAIR_EVERY_MS: u64 = 10 * 60_000;
/// Repairs with a device in a day.
const REPAIRS_A_DAY: usize = 5;
const DAY_MS: u64 = 24 * 3_600_000;
/// How often one message is sent again to one device.
const RESENT_MAX: u8 = 3;

impl Peer {
    /// From when on a repair may be asked for; `None` if the day's are used up.
    fn repair_at(&self, now: UnixMillis) -> UnixMillis {
        let asked = &self.repair.asked_at;
        let after_last = asked.last().map_or(UnixMillis(0), |last| UnixMillis(*last).saturating_add(REPAIR_EVERY_MS));
        let today = asked.iter().filter(|at| UnixMillis(**at).saturating_add(DAY_MS) > now).count();
        match asked.first() {
            Some(first) if today >= REPAIRS_A_DAY => after_last.max(UnixMillis(*first).saturating_add(DAY_MS)),
            _ => after_last,
        }
    }
}

impl Engine {
    /// A message could not be read: it is told once, and asked for again where that may help.
    pub(super) fn on_undecryptable(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        number: MessageNumber,
        hash: [u8; 32],
        reason: Undecryptable,
    ) -> Result<(), EngineError> {
        let contact = self.contacts.get(&from.account);
        let accepted = contact.is_some_and(|contact| contact.pending.is_none() && contact.list.contains(&from));
        // A later message may tell who this is; what can be asked for is looked at once all has been taken in.
        let stranger = contact.is_none();
        let mut asked_again = false;
        if (accepted || stranger) && reason != Undecryptable::BadRecord {
            let now = context.now;
            let peer = self.peer(from);
            if peer.repair.failed.len() < REPAIR_MAX && peer.repair_at(now) < now.saturating_add(REPAIR_EVERY_MS) {
                peer.repair.failed.push((number.0, Bin32(hash)));
                asked_again = accepted;
                self.save_peer(context, from)?;
            }
        }
        let from = self.stored_device(from);
        let reason = reason.as_str().to_owned();
        self.note(context, StoredNotice::Undecryptable { from, number: number.0, reason, asked_again })
    }

    /// Something of a device was decrypted.
    pub(super) fn on_heard(&mut self, context: &mut Context<'_>, from: DeviceAddress) -> Result<(), EngineError> {
        let peer = self.peer(from);
        let repaired = std::mem::take(&mut peer.repair.awaiting);
        let first = !std::mem::replace(&mut peer.heard, true);
        if repaired || first {
            self.save_peer(context, from)?;
        }
        if repaired {
            let from = self.stored_device(from);
            self.note(context, StoredNotice::SessionRepaired { from })?;
        }
        Ok(())
    }

    /// Puts requests into the outbox, once all that waited was taken in, so that one request names all that failed.
    pub(super) fn advance_repairs(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if !self.drained {
            return Ok(());
        }
        let due: Vec<DeviceAddress> =
            self.peers.iter().filter(|(_, peer)| !peer.repair.failed.is_empty()).map(|(from, _)| *from).collect();
        for address in due {
            let now = context.now;
            let accepted = self
                .contacts
                .get(&address.account)
                .is_some_and(|contact| contact.pending.is_none() && contact.list.contains(&address));
            let peer = self.peer(address);
            let at = peer.repair_at(now);
            if !accepted || at > now {
                if accepted {
                    self.wake_at(at);
                }
                continue;
            }
            let failed = std::mem::take(&mut peer.repair.failed);
            peer.repair.asked_at.push(now.0);
            if peer.repair.asked_at.len() > REPAIRS_A_DAY {
                peer.repair.asked_at.remove(0);
            }
            self.save_peer(context, address)?;
            let message_id = MessageId::from_bytes(context.draw());
            self.enqueue(context, device_item(address, ItemBody::Repair { failed }, message_id, now.0))?;
        }
        Ok(())
    }

    /// A device asks for messages again: those that were sent to just this device, as they were.
    pub(super) fn on_repair_request(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        failed: &[Failed],
    ) -> Result<(), EngineError> {
        if self.contacts.get(&from.account).is_none_or(|contact| contact.pending.is_some()) {
            return Ok(());
        }
        // The hash that it names is of what it was given. Whether that is what was sent here, or the server or its disk has
        // changed it, the device gets what it should have had: it is its own message either way.
        for Failed { number, ciphertext_hash: _ } in failed {
            let key = number.0.to_be_bytes();
            let record: Option<SentRecord> = context.load(Table::Sent, &key, "a sent message")?;
            let Some(mut record) = record else { continue };
            let kept_until = UnixMillis(record.encrypted_at).saturating_add(QUEUE_RETENTION_MILLIS);
            let copy = record.copies.iter_mut().find(|copy| copy.place.address == from && copy.repaired < RESENT_MAX);
            let Some(copy) = copy.filter(|_| kept_until > context.now) else { continue };
            copy.repaired = copy.repaired.saturating_add(1);
            let place = copy.place;
            let body = match record.history {
                Some(history) if context.at::<HistoryRow>(Log::History, history, "a message")?.is_some() => {
                    ItemBody::Text { history }
                }
                _ => ItemBody::Empty,
            };
            let mut item = device_item(from, body, record.message_id, record.sent_at);
            item.assigned.push(place);
            context.save(Table::Sent, &key, &record)?;
            self.enqueue(context, item)?;
        }
        Ok(())
    }
}

/// An outbox item for one device.
fn device_item(address: DeviceAddress, body: ItemBody, message_id: MessageId, sent_at: u64) -> Item {
    Item {
        name: None,
        account: Some(Bin(address.account)),
        device: Some(Bin(address)),
        body,
        message_id,
        sent_at,
        assigned: Vec::new(),
        number: None,
        unknown: false,
        wait_until: 0,
        attempts: 0,
    }
}
