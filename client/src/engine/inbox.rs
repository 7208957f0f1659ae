//! The inbox: deliveries recognised, brought into the order in which they were written, and held until their turn comes.

mod flags;
mod order;
mod seen;
mod strangers;

use sealpost_api::frames::Deliver;
use sealpost_crypto::{AccountId, DeviceAddress};

pub(crate) use flags::{flags, is_trusted};
pub(crate) use seen::{Sighting, forget_seen, remember, sight};
pub(crate) use strangers::surplus_devices;

use super::content::envelope::Envelope;
use super::error::EngineError;
use super::model::MessageFlag;
use super::people::People;
use super::records::{Gap, Held};
use super::step::Step;
use super::store::Rows;
use crate::vault::VaultTransaction;
use order::Order;

/// The inbox's state. What is remembered of each device lies in its peer record.
pub(crate) struct Inbox {
    order: Order,
}

impl Inbox {
    /// Reads what waits.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { order: Order::new(Rows::open(vault)?) })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.order.flush(vault)
    }

    /// Takes a decrypted message to its place.
    pub(crate) fn take_in(
        &mut self,
        step: &mut Step<'_>,
        people: People<'_>,
        deliver: &Deliver,
        envelope: Envelope,
        flags: &[MessageFlag],
    ) {
        let held = Held {
            from: deliver.from,
            sequence: envelope.sequence,
            counter: envelope.counter,
            previous: envelope.previous,
            hash: envelope.hash(),
            message_id: envelope.message_id,
            sent_at: envelope.sent_at.0,
            accepted_at: deliver.accepted_at,
            number: deliver.number.0,
            text: envelope.content.into_shown(),
            flags: flags.iter().map(|flag| flag.as_str().to_owned()).collect(),
            held_at: step.now.0,
            in_order: false,
        };
        self.order.arrange(step, people, held);
    }

    /// Remembers a gap, and where the notice of it lies.
    pub(crate) fn remember_gap(step: &mut Step<'_>, from: DeviceAddress, sequence: u64, gap: Gap) {
        order::remember_gap(step, from, sequence, gap);
    }

    /// Says again what is still missing of a gap that one counter has come of.
    pub(crate) fn split_gap(
        step: &mut Step<'_>,
        (from, sequence): (DeviceAddress, u64),
        gap: Gap,
        counter: u64,
        withdrawn: bool,
    ) {
        order::split_gap(step, (from, sequence), gap, counter, withdrawn);
    }

    /// Lets go the messages of an account that waited only for its name.
    pub(crate) fn release(&mut self, step: &mut Step<'_>, people: People<'_>, account: AccountId) {
        self.order.release(step, people, account);
    }

    /// Returns the accounts whose name could not be looked up for too long.
    pub(crate) fn overdue_names(&self, step: &mut Step<'_>, people: People<'_>) -> Vec<AccountId> {
        self.order.overdue_names(step, people)
    }

    /// Gives up waiting for what is missing where its time is over, or everywhere.
    pub(crate) fn give_up(&mut self, step: &mut Step<'_>, people: People<'_>, everywhere: bool) {
        self.order.give_up(step, people, everywhere);
    }

    /// Returns whether a message waits only for its sender's name.
    pub(crate) fn waits_for_name(&self) -> bool {
        self.order.waits_for_name()
    }

    /// Removes and returns what waits of a device.
    pub(crate) fn take_all(&mut self, address: DeviceAddress) -> Vec<Held> {
        self.order.take_all(address)
    }

    /// Returns how many messages wait.
    pub(crate) fn count(&self) -> u64 {
        self.order.count()
    }
}
