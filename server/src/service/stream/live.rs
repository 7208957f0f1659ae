//! Rows in transit: from an accepted message to the recipients' streams, and from a row to its frame.

use bytes::Bytes;
use sealpost_api::frames::{Copy, Deliver, Expired, Missed, ServerFrame};
use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use crate::relay::Hint;
use crate::service::Core;
use crate::store::{AcceptOutcome, QueueItem, StoreError};

/// The store's answer to one send.
pub(super) struct Accepted {
    pub(super) number: MessageNumber,
    pub(super) to: AccountId,
    /// Whether a token of the rate limit was taken for it.
    pub(super) paid: bool,
    pub(super) now: UnixMillis,
    pub(super) copies: Vec<Copy>,
    pub(super) result: Result<AcceptOutcome, StoreError>,
}

/// Offers accepted rows to the recipients' streams: from memory on this node, and by a hint on others.
pub(super) fn offer_live(core: &Core, from: DeviceAddress, accepted: &Accepted) {
    let Ok(AcceptOutcome::Accepted { rows, .. }) = &accepted.result else { return };
    for (address, id) in rows {
        let Some(copy) = accepted.copies.iter().find(|copy| copy.device == address.device) else { continue };
        let item = QueueItem::Message {
            id: *id,
            from,
            number: accepted.number,
            accepted_at: accepted.now,
            // A copy instead of a slice of the sender's read buffer, which would be kept whole for as long as this
            // waits.
            ciphertext: Bytes::copy_from_slice(&copy.ciphertext),
        };
        if !core.hub.offer(address, item) {
            core.relay.publish(Hint::Wake(*address));
        }
    }
}

/// Gives the token back if the message was not new. A client that repeats unanswered messages, as it should, must not
/// have to wait with its next one. A refusal keeps the token, or refusals could be requested without end.
pub(super) fn give_back(core: &Core, from: DeviceAddress, accepted: &Accepted) {
    if accepted.paid && !matches!(accepted.result, Ok(AcceptOutcome::Accepted { .. } | AcceptOutcome::Refused(_))) {
        core.limiter.give_back_send(&from, &accepted.to, core.clock.now());
    }
}

pub(super) fn delivery_frame(item: QueueItem) -> ServerFrame {
    match item {
        QueueItem::Message { id, from, number, accepted_at, ciphertext } => {
            ServerFrame::Deliver(Deliver { id, from, number, accepted_at: accepted_at.0, ciphertext })
        }
        QueueItem::Expired { id, to, numbers, reason } => ServerFrame::Expired(Expired { id, to, numbers, reason }),
        QueueItem::Missed { id, from, count, reason } => ServerFrame::Missed(Missed { id, from, count, reason }),
    }
}
