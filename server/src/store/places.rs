//! Which device of a recipient gets a copy, and why another does not: the part of accepting that is the same in every store.

use sealpost_api::frames::{Copy, MissedReason, SendKind, SkipReason};
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, without};

use super::queue::{Accept, QueueLimits, Refusal};

/// What becomes of one device's copy.
pub(super) enum Place {
    /// It is queued.
    Queued(Copy),
    /// The device is away or its queue is full.
    Skipped(SkipReason),
    /// The sender account has its share of this queue already.
    Share,
}

impl Place {
    /// What the sender, and what the device, is told of a copy that is not queued.
    pub(super) const fn told(&self) -> Option<(SkipReason, MissedReason)> {
        match self {
            Self::Queued(_) => None,
            Self::Skipped(SkipReason::Dormant) => Some((SkipReason::Dormant, MissedReason::Dormant)),
            Self::Skipped(SkipReason::QueueFull) | Self::Share => {
                Some((SkipReason::QueueFull, MissedReason::QueueFull))
            }
        }
    }
}

/// What waits in a queue, in all or of one account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// A device of the recipient's list, as the store names it.
pub(super) struct Addressed<K> {
    pub(super) key: K,
    pub(super) address: DeviceAddress,
    pub(super) dormant: bool,
}

/// Devices with their copies.
pub(super) type Matched<K> = Vec<(Addressed<K>, Option<Copy>)>;

/// Matches the copies with the list, without the sending device. A device without a copy stays only if it is dormant.
pub(super) fn address<K>(
    accept: &Accept,
    devices: impl IntoIterator<Item = Addressed<K>>,
) -> Result<Matched<K>, Refusal> {
    let (mut missing, mut extra, mut stale) = (Vec::new(), Vec::new(), Vec::new());
    let mut addressed = Vec::new();
    let mut copies: Vec<Option<&Copy>> = accept.send.copies.iter().map(Some).collect();
    for device in devices.into_iter().filter(|device| device.address != accept.from) {
        let id = device.address.device;
        let copy = copies.iter_mut().find(|copy| copy.is_some_and(|copy| copy.device == id)).and_then(Option::take);
        match copy {
            Some(copy)
                if copy.registration == device.address.registration || without(Countermeasure::RegistrationKey) =>
            {
                addressed.push((device, Some(copy.clone())));
            }
            Some(copy) => stale.push(copy.device),
            None if accept.send.kind == SendKind::Device => {}
            None if device.dormant => addressed.push((device, None)),
            None => missing.push(id),
        }
    }
    extra.extend(copies.into_iter().flatten().map(|copy| copy.device));
    if accept.send.kind == SendKind::Device {
        // Exactly one: what was sent beyond it is too much.
        extra.extend(addressed.iter().skip(1).filter_map(|(_, copy)| copy.as_ref().map(|copy| copy.device)));
    }
    let one_is_there = accept.send.kind == SendKind::Message || addressed.len() == 1;
    if missing.is_empty() && extra.is_empty() && stale.is_empty() && one_is_there {
        Ok(addressed)
    } else {
        Err(Refusal::DevicesMismatch { missing, extra, stale })
    }
}

/// Decides on one device's copy. The share of the sender's account is asked for only where it matters.
pub(super) fn place<E>(
    copy: Option<Copy>,
    dormant: bool,
    limits: &QueueLimits,
    queue: Load,
    share: impl FnOnce() -> Result<Load, E>,
) -> Result<Place, E> {
    let Some(copy) = copy.filter(|_| !dormant) else { return Ok(Place::Skipped(SkipReason::Dormant)) };
    let bytes = size(&copy);
    if queue.messages >= limits.messages_max || queue.bytes.saturating_add(bytes) > limits.bytes_max {
        return Ok(Place::Skipped(SkipReason::QueueFull));
    }
    let share = share()?;
    let fair = without(Countermeasure::FairShare)
        || (QueueLimits::is_fair(limits.messages_max, queue.messages, share.messages, 1)
            && QueueLimits::is_fair(limits.bytes_max, queue.bytes, share.bytes, bytes));
    Ok(if share.messages >= limits.sender_messages_max || !fair { Place::Share } else { Place::Queued(copy) })
}

/// Why nobody gets a copy; `None` when somebody does, or when nobody had to (an account's only device writes to it).
pub(super) fn nobody_reached<K>(places: &[(K, Place)]) -> Option<Refusal> {
    if places.is_empty() || places.iter().any(|(_, place)| matches!(place, Place::Queued(_))) {
        return None;
    }
    let any = |wanted: fn(&Place) -> bool| places.iter().any(|(_, place)| wanted(place));
    Some(if any(|place| matches!(place, Place::Share)) {
        Refusal::QueueShare
    } else if any(|place| matches!(place, Place::Skipped(SkipReason::QueueFull))) {
        Refusal::QueueFull
    } else {
        Refusal::Dormant
    })
}

/// A copy's bytes.
pub(super) fn size(copy: &Copy) -> u64 {
    u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX)
}
