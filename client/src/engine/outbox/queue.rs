//! The outbox's state: the messages in their lanes.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::ids::MessageNumber;
use sealpost_api::limits::TEXT_MAX_BYTES;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress};

use super::flight::Flight;
use super::message::{Item, Lane, Recipient};
use super::sender::Sender;
use super::sent::SentRecord;
use crate::engine::command::{CommandError, InvalidCommand};
use crate::engine::error::EngineError;
use crate::engine::model::OutboxEntry;
use crate::engine::step::Step;
use crate::engine::store::{Cache, Kept, LogRows};
use crate::vault::VaultTransaction;

/// Messages in the outbox: as many as a recipient's queue takes.
const OUTBOX_MAX: usize = 10_000;
/// Sent records kept in memory until the server answers: as many as are in flight.
const SENT_CACHED_MAX: usize = 256;

/// The outbox's state.
pub(crate) struct Outbox {
    pub(super) items: LogRows<Item>,
    pub(super) lanes: BTreeMap<Lane, BTreeSet<u64>>,
    pub(super) sender: Kept<Sender>,
    pub(super) sent: Cache<SentRecord>,
    pub(super) flight: Flight,
}

impl Outbox {
    /// Reads what waits. What has a number may have left before the last engine ended.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let mut items = LogRows::<Item>::open(vault)?;
        for item in items.unsaved() {
            item.unknown |= item.number.is_some();
        }
        let sender = Kept::<Sender>::open(vault)?;
        let mut flight = Flight::default();
        for number in &sender.resend {
            flight.add(*number, None);
        }
        let mut lanes = BTreeMap::<Lane, BTreeSet<u64>>::new();
        for (position, item) in items.iter() {
            lanes.entry(item.recipient.lane()).or_default().insert(position);
            if let Some(number) = item.number {
                flight.add(number, Some(position));
            }
        }
        Ok(Self { items, lanes, sender, sent: Cache::new(SENT_CACHED_MAX), flight })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.items.flush(vault)?;
        self.sent.flush(vault)?;
        self.sender.flush(vault)
    }

    /// Returns why a text is not taken, if so.
    #[expect(clippy::unused_self, reason = "what is taken is for the outbox to say")]
    pub(crate) fn refuses_text(&self, text: &str) -> Option<CommandError> {
        (text.is_empty() || text.len() > TEXT_MAX_BYTES).then(|| InvalidCommand::TextLength.into())
    }

    /// Returns whether nothing more is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= OUTBOX_MAX
    }

    /// Puts a message into its lane, and returns its position.
    pub(crate) fn enqueue(&mut self, vault: &mut dyn VaultTransaction, item: Item) -> Result<u64, EngineError> {
        let lane = item.recipient.lane();
        let position = self.items.append(vault, item)?;
        self.lanes.entry(lane).or_default().insert(position);
        Ok(position)
    }

    /// Removes a message.
    pub(super) fn remove(
        &mut self,
        vault: &mut dyn VaultTransaction,
        position: u64,
    ) -> Result<Option<Item>, EngineError> {
        let Some(item) = self.items.remove(vault, position)? else { return Ok(None) };
        let lane = item.recipient.lane();
        if let Some(positions) = self.lanes.get_mut(&lane) {
            positions.remove(&position);
            if positions.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        if let Some(number) = item.number {
            self.flight.remove(number);
        }
        Ok(Some(item))
    }

    /// Returns the positions of what waits in a lane, oldest first.
    pub(crate) fn in_lane(&self, lane: &Lane) -> Vec<u64> {
        self.lanes.get(lane).map(|positions| positions.iter().copied().collect()).unwrap_or_default()
    }

    /// Returns the names that messages wait to have looked up.
    pub(crate) fn unresolved_names(&self) -> impl Iterator<Item = &Username> {
        self.lanes.keys().filter_map(|lane| if let Lane::Name(name) = lane { Some(name) } else { None })
    }

    /// Returns whether a message waits for a name to be looked up.
    pub(crate) fn awaits_name(&self, name: &Username) -> bool {
        self.lanes.contains_key(&Lane::Name(name.clone()))
    }

    /// Moves the messages of a lane to an account. Messages to a name go there; the others do not change.
    pub(crate) fn move_lane(&mut self, lane: &Lane, to: AccountId) {
        for position in self.lanes.remove(lane).unwrap_or_default() {
            let Some(item) = self.items.edit(position) else { continue };
            if let Recipient::Name(name) | Recipient::Named(name, _) = &item.recipient {
                item.recipient = Recipient::Named(name.clone(), to);
                item.assigned.retain(|place| place.address.account == to);
            }
            self.lanes.entry(item.recipient.lane()).or_default().insert(position);
        }
    }

    /// Removes everything for an account.
    pub(crate) fn forget_account(
        &mut self,
        vault: &mut dyn VaultTransaction,
        account: AccountId,
    ) -> Result<(), EngineError> {
        for position in self.in_lane(&Lane::Account(account)) {
            self.remove(vault, position)?;
        }
        Ok(())
    }

    /// Removes what goes to one device alone.
    pub(crate) fn forget_device(
        &mut self,
        vault: &mut dyn VaultTransaction,
        address: DeviceAddress,
    ) -> Result<(), EngineError> {
        let asked = self.items.iter().filter(|(_, item)| item.recipient == Recipient::Device(address));
        for position in asked.map(|(position, _)| position).collect::<Vec<_>>() {
            self.remove(vault, position)?;
        }
        Ok(())
    }

    /// Does not send a message before a time, and asks to be woken then.
    pub(super) fn wait(&mut self, step: &mut Step<'_>, position: u64, ms: u64) {
        let until = step.now.saturating_add(ms);
        if let Some(item) = self.items.edit(position) {
            item.wait_until = until;
        }
        step.wake_at(until);
    }

    /// Returns what waits to be accepted by the server, oldest first.
    pub(crate) fn entries(&self) -> Vec<OutboxEntry> {
        let entries = self.items.iter().filter(|(_, item)| !item.is_empty()).filter_map(|(_, item)| {
            Some(OutboxEntry {
                to: item.recipient.name()?.clone(),
                message_id: item.message_id,
                sent_at: item.sent_at,
                number: item.number.map(MessageNumber),
            })
        });
        entries.collect()
    }

    /// Returns whether something is to be sent, to an account that is not blocked.
    pub(crate) fn has_work(&self, blocked: impl Fn(AccountId) -> bool) -> bool {
        self.items.iter().any(|(_, item)| !item.is_empty() && !item.recipient.account().is_some_and(&blocked))
    }

    /// Returns the highest number used by this device.
    pub(crate) fn number(&self) -> u64 {
        self.sender.number
    }

    /// Returns accepted numbers that the server lost and that are not kept here any more.
    pub(crate) fn lost_numbers(&self) -> Vec<MessageNumber> {
        self.sender.lost.iter().copied().map(MessageNumber).collect()
    }
}
