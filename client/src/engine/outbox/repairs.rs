//! Messages sent again to a device that could not read them, as they were.

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_crypto::DeviceAddress;

use super::message::{Item, Recipient};
use super::queue::Outbox;
use crate::engine::codec::Bin32;
use crate::engine::content::Draft;
use crate::engine::error::EngineError;
use crate::engine::step::Step;

/// How often one message is sent again to one device.
const RESENT_MAX: u8 = 3;

impl Outbox {
    /// Asks a device for messages again.
    pub(crate) fn ask_again(
        &mut self,
        step: &mut Step<'_>,
        address: DeviceAddress,
        failed: Vec<(u64, Bin32)>,
    ) -> Result<(), EngineError> {
        let message_id = MessageId::from_bytes(step.draw());
        let item = Item::new(Recipient::Device(address), Draft::Repair { failed }, message_id, step.now);
        self.enqueue(step.vault, item).map(drop)
    }

    /// Sends a message again to a device that asks for it, if it was sent to just this device. `is_kept` says whether a
    /// text is still in the history.
    ///
    /// The device also names the hash of what it was given. Whether that is what was sent here, or the server or its disk
    /// has changed it, the device gets what it should have had: it is its own message either way.
    pub(crate) fn send_to_again(
        &mut self,
        step: &mut Step<'_>,
        from: DeviceAddress,
        number: MessageNumber,
        is_kept: impl FnOnce(&mut Step<'_>, u64) -> Result<bool, EngineError>,
    ) -> Result<(), EngineError> {
        let Some(record) = self.sent.attempt(step.vault, &number.0)? else { return Ok(()) };
        if record.kept_until() <= step.now {
            return Ok(());
        }
        let copy = record.copies.iter_mut().find(|copy| copy.place.address == from && copy.repaired < RESENT_MAX);
        let Some(copy) = copy else { return Ok(()) };
        copy.repaired = copy.repaired.saturating_add(1);
        let (place, history) = (copy.place, record.history);
        let mut item = Item::new(
            Recipient::Device(from),
            Draft::Empty,
            record.message_id,
            sealpost_crypto::UnixMillis(record.sent_at),
        );
        item.assigned.push(place);
        self.sent.mark(&number.0);
        if let Some(history) = history
            && is_kept(step, history)?
        {
            item.draft = Draft::Text { history };
        }
        self.enqueue(step.vault, item).map(drop)
    }
}
