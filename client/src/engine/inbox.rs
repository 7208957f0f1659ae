//! Messages taken in: recognised, decrypted, checked, and acked once all that is on disk.

use sealpost_api::frames::Deliver;
use sealpost_crypto::{DecryptError, Decrypted, DeviceAddress, InitialInfo, PairSessions, RemoteDevice};
use sealpost_sabotage::{Countermeasure, without};
use sha2::{Digest as _, Sha256};

use super::codec::Bin;
use super::model::{MessageFlag, Undecryptable};
use super::notices::StoredNotice;
use super::prekeys::{self, Privates};
use super::record::{Body, Record};
use super::state::Held;
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// Deliveries remembered for each sender device. What is older is recognised by the ratchet, whose keys are used up.
const SEEN_MAX: u64 = 2_048;

/// What a delivery is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sighting {
    New,
    /// The same number and bytes were taken in before.
    Duplicate,
    /// The same number, with other bytes.
    Reused,
}

/// How a message was opened.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum Opened {
    Message(Decrypted),
    /// Its key was used before.
    Duplicate,
    Failed(Undecryptable),
}

impl Engine {
    pub(super) fn on_deliver(&mut self, context: &mut Context<'_>, deliver: &Deliver) -> Result<(), EngineError> {
        // Whatever it is, it is not delivered again: what can't be read is reported once and does not stop the rest.
        if !without(Countermeasure::AckUndecryptable) {
            self.ack(deliver.id);
        }
        let from = deliver.from;
        let hash: [u8; 32] = Sha256::digest(&deliver.ciphertext).into();
        match self.sight(context, from, deliver.number.0, hash)? {
            Sighting::Duplicate => return Ok(()),
            Sighting::Reused => {
                let from = self.stored_device(from);
                self.note(context, StoredNotice::NumberReused { from, number: deliver.number.0 })?;
            }
            Sighting::New => {}
        }
        match self.open_message(context, from, &deliver.ciphertext)? {
            Opened::Duplicate => Ok(()),
            Opened::Failed(reason) => self.on_undecryptable(context, from, deliver.number, hash, reason),
            Opened::Message(decrypted) => self.on_decrypted(context, deliver, hash, decrypted),
        }
    }

    /// Remembers a delivery. The ring keeps the newest [`SEEN_MAX`] of each sender device.
    fn sight(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        number: u64,
        hash: [u8; 32],
    ) -> Result<Sighting, EngineError> {
        let address = from.to_bytes();
        let key = [address.as_slice(), b"n", &number.to_be_bytes()].concat();
        if let Some(seen) = context.vault.get(Table::Seen, &key)?.filter(|_| !without(Countermeasure::ShownOnce)) {
            return Ok(if seen.as_slice() == hash { Sighting::Duplicate } else { Sighting::Reused });
        }
        self.meet(context, from)?;
        let peer = self.peer(from);
        let slot = [address.as_slice(), b"r", &(peer.seen % SEEN_MAX).to_be_bytes()].concat();
        peer.seen = peer.seen.saturating_add(1);
        self.save_peer(context, from)?;
        if let Some(oldest) = context.vault.get(Table::Seen, &slot)? {
            context.vault.delete(Table::Seen, &[address.as_slice(), b"n", &oldest].concat())?;
        }
        context.vault.put(Table::Seen, &slot, &number.to_be_bytes())?;
        context.vault.put(Table::Seen, &key, &hash)?;
        Ok(Sighting::New)
    }

    fn open_message(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        ciphertext: &[u8],
    ) -> Result<Opened, EngineError> {
        let Ok(info) = InitialInfo::peek(ciphertext) else { return Ok(Opened::Failed(Undecryptable::Malformed)) };
        let pinned = self.pinned_device(from);
        let known = self.pair(context, from)?.is_some_and(|pair| pinned.is_none_or(|pinned| *pair.remote() == pinned));
        if !known {
            let Some(info) = &info else { return Ok(Opened::Failed(Undecryptable::NoSession)) };
            // Its keys come from the list that its account has signed, and only if that list has exactly this device.
            let remote = RemoteDevice::from_list(&info.device_list, from.device);
            let Some(remote) = remote.filter(|remote| self.may_be(remote, from, pinned)) else {
                return Ok(Opened::Failed(Undecryptable::NotAuthentic));
            };
            self.put_pair(from, PairSessions::new(remote));
        }
        let privates = match &info {
            Some(info) => Privates::read(context, info)?,
            None => Privates::NONE,
        };
        let (Some(me), Some(pair)) = (&self.me, self.sessions.get_mut(&from)) else {
            return Err(EngineError::Internal);
        };
        match pair.decrypt(context.rng, &me.local(), ciphertext, &privates) {
            Ok(decrypted) => {
                self.save_pair(context, from)?;
                if let Some(id) =
                    decrypted.used_one_time_prekey.filter(|_| !without(Countermeasure::InitialMessageOnce))
                {
                    prekeys::delete_one_time(context, id)?;
                }
                Ok(Opened::Message(decrypted))
            }
            Err(error) => {
                if !known {
                    self.sessions.remove(&from);
                }
                Ok(match error {
                    DecryptError::DuplicateMessage if !without(Countermeasure::ShownOnce) => Opened::Duplicate,
                    // Its initial message made a session once: this is that message again, or one of a session too old.
                    DecryptError::UnknownSignedPrekey(_) | DecryptError::UnknownOneTimePrekey(_) => {
                        Opened::Failed(Undecryptable::NoPrekey)
                    }
                    DecryptError::UnknownSession | DecryptError::SessionGone => {
                        Opened::Failed(Undecryptable::NoSession)
                    }
                    _ => Opened::Failed(Undecryptable::NotAuthentic),
                })
            }
        }
    }

    /// What the pinned list of its account says of a device.
    fn pinned_device(&self, address: DeviceAddress) -> Option<RemoteDevice> {
        let own = self.me.as_ref().filter(|me| me.address.account == address.account).map(|me| &me.list);
        let contact = self.contacts.get(&address.account).filter(|_| !without(Countermeasure::IdentityPin));
        let list = own.or_else(|| contact.map(|contact| &contact.list))?;
        RemoteDevice::from_list(list, address.device).filter(|device| device.address == address)
    }

    /// Whether a device may have the keys that a list in a message gives it. A registration never changes its keys, and
    /// nobody but this account speaks for it: otherwise the server could put keys of its own beside a pinned device.
    fn may_be(&self, remote: &RemoteDevice, from: DeviceAddress, pinned: Option<RemoteDevice>) -> bool {
        let own = self.me.as_ref().filter(|me| me.address.account == from.account);
        remote.address == from
            && pinned.is_none_or(|pinned| pinned == *remote)
            && (own.is_none_or(|me| me.list.account_identity() == remote.account_identity)
                || without(Countermeasure::IdentityPin))
    }

    fn on_decrypted(
        &mut self,
        context: &mut Context<'_>,
        deliver: &Deliver,
        hash: [u8; 32],
        decrypted: Decrypted,
    ) -> Result<(), EngineError> {
        let from = deliver.from;
        let Ok(record) = Record::decode(&decrypted.plaintext) else {
            return self.on_undecryptable(context, from, deliver.number, hash, Undecryptable::BadRecord);
        };
        let own = self.me.as_ref().is_some_and(|me| me.address.account == from.account);
        if let Some(list) = decrypted.sender_list
            && !own
        {
            if self.contacts.contains_key(&from.account) {
                self.see_list(context, &list)?;
            } else {
                self.pin(context, list, true)?;
                if let Some(contact) = self.contacts.get_mut(&from.account) {
                    contact.claimed = record.name.clone().map(Bin);
                }
                self.save_contact(context, from.account)?;
            }
        }
        self.on_heard(context, from)?;
        let mut flags = Vec::new();
        if record.number != deliver.number {
            flags.push(MessageFlag::Relabelled);
        }
        if let Some(contact) = self.contacts.get(&from.account) {
            let identity = self.sessions.get(&from).map(|pair| pair.remote().account_identity);
            if identity != Some(contact.list.account_identity()) {
                flags.push(MessageFlag::UnacceptedIdentity);
            } else if !contact.list.contains(&from) {
                flags.push(MessageFlag::RemovedDevice);
            }
        }
        let trusted =
            !flags.iter().any(|flag| matches!(flag, MessageFlag::UnacceptedIdentity | MessageFlag::RemovedDevice));
        if let Body::Repair(failed) = &record.body
            && trusted
        {
            self.on_repair_request(context, from, failed)?;
        }
        let record_hash = record.hash();
        let held = Held {
            from,
            stream: record.stream,
            counter: record.counter,
            previous: record.previous,
            hash: record_hash,
            message_id: record.message_id,
            sent_at: record.sent_at.0,
            accepted_at: deliver.accepted_at,
            number: deliver.number.0,
            text: if let Body::Text(text) = record.body { Some(text) } else { None },
            flags: flags.into_iter().map(|flag| flag.as_str().to_owned()).collect(),
            held_at: context.now.0,
            in_order: false,
            stored: false,
        };
        self.arrange(context, held)
    }
}

/// Forgets what was delivered of a device.
pub(super) fn forget_seen(context: &mut Context<'_>, address: &DeviceAddress, seen: u64) -> Result<(), EngineError> {
    let address = address.to_bytes();
    for slot in 0..seen.min(SEEN_MAX) {
        let slot = [address.as_slice(), b"r", &slot.to_be_bytes()].concat();
        if let Some(number) = context.vault.get(Table::Seen, &slot)? {
            context.vault.delete(Table::Seen, &[address.as_slice(), b"n", &number].concat())?;
            context.vault.delete(Table::Seen, &slot)?;
        }
    }
    Ok(())
}
