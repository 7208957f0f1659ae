//! Decides what becomes of a message: the part of accepting that is the same in every store.
//!
//! A back end looks up the sender's window and the recipient's devices, asks these rules, and writes what they say. The
//! order of the checks is a promise: window, device list, quotas, rate.

use sealpost_api::frames::{Copy, MissedReason, Send as SendFrame, SendKind, SkipReason};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber};
use sealpost_crypto::{DeviceAddress, DeviceId, UnixMillis};
use sealpost_sabotage::{Countermeasure, holds, or_planted};

use super::quotas::{Load, QueueLimits};
use super::window::{NumberState, NumberWindow};

/// A message to accept.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The authenticated sender device.
    pub from: DeviceAddress,
    /// The connection that it came on.
    pub epoch: ConnectionEpoch,
    /// What it sent; sizes and counts are already checked.
    pub send: SendFrame,
    /// Whether the rate limit allows a new message now; if not, ms until it does. Checked after the window, so that a
    /// repetition of an accepted message is never refused for its rate.
    pub rate: Result<(), u64>,
    /// The quotas of the recipient's queues.
    pub limits: QueueLimits,
}

/// Why a message was not accepted. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection's epoch is not the current one.
    Superseded,
    /// The number was used for other bytes.
    NumberConflict,
    /// The number lies below the window.
    NumberTooOld,
    /// The recipient does not exist, or the sender has left its device list.
    RecipientUnknown,
    /// The copies do not match the current list. A copy for a dormant device is optional.
    DevicesMismatch {
        /// Devices without a copy.
        missing: Vec<DeviceId>,
        /// Copies for devices that are not in the list.
        extra: Vec<DeviceId>,
        /// Copies for another registration of a device.
        stale: Vec<DeviceId>,
    },
    /// The sender is too fast; ms until a retry makes sense.
    RateLimited(u64),
    /// The queue of every addressed device is full (or of some, and the others are dormant).
    QueueFull,
    /// The sender account has used up its share of every queue that is neither full nor dormant.
    QueueShare,
    /// Every addressed device is dormant.
    Dormant,
}

/// Whether a message's number was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is new.
    First,
    /// It was accepted before: the message is a repetition, or another one under the same number.
    Before,
}

/// Judges a message's number by the window of its sender.
///
/// # Errors
/// [`Refusal::NumberTooOld`] for a number below the window: whether it was accepted is no longer known.
pub fn judge_number(window: &NumberWindow, number: MessageNumber) -> Result<Seen, Refusal> {
    match window.state(number) {
        NumberState::New => Ok(Seen::First),
        NumberState::TooOld => Err(Refusal::NumberTooOld),
        NumberState::Accepted => Ok(or_planted(Countermeasure::AcceptedNumbers, Seen::Before, Seen::First)),
    }
}

/// A device of the recipient's list.
pub struct Recipient<K> {
    /// What the back end calls the device by.
    pub key: K,
    /// The device.
    pub address: DeviceAddress,
    /// When it was last connected.
    pub last_seen_at: UnixMillis,
    /// What waits for it.
    pub queue: Load,
}

/// What becomes of one device's copy.
#[derive(Debug)]
pub enum Place {
    /// It is queued.
    Queued(Copy),
    /// The device is dormant, or its queue is full.
    Skipped(SkipReason),
    /// The sender account has its share of this queue already.
    Share,
}

impl Place {
    /// Returns what the sender and the device are told about a copy that is not queued.
    #[must_use]
    pub const fn told(&self) -> Option<(SkipReason, MissedReason)> {
        match self {
            Self::Queued(_) => None,
            Self::Skipped(SkipReason::Dormant) => Some((SkipReason::Dormant, MissedReason::Dormant)),
            Self::Skipped(SkipReason::QueueFull) | Self::Share => {
                Some((SkipReason::QueueFull, MissedReason::QueueFull))
            }
        }
    }
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Decision<K> {
    /// It is written: each addressed device with the place of its copy. At least one copy is queued, or no device is
    /// addressed (the only device of an account writes to that account).
    Write(Vec<(K, Place)>),
    /// It is refused, and nothing is written.
    Refused(Refusal),
}

/// Decides on a message with a new number. `share` tells what the sender's account has in a queue; it is asked only
/// where that matters, because counting is expensive.
///
/// # Errors
/// Only those of `share`.
pub fn decide<K, E>(
    accept: &Accept,
    devices: impl IntoIterator<Item = Recipient<K>>,
    now: UnixMillis,
    mut share: impl FnMut(&K) -> Result<Load, E>,
) -> Result<Decision<K>, E> {
    let matched = match match_copies(accept, devices, now) {
        Ok(matched) => matched,
        Err(refusal) => return Ok(Decision::Refused(refusal)),
    };
    let mut places = Vec::with_capacity(matched.len());
    for Matched { key, queue, copy, .. } in matched {
        let place = match copy {
            Some(copy) => place(copy, &accept.limits, queue, || share(&key))?,
            None => Place::Skipped(SkipReason::Dormant),
        };
        places.push((key, place));
    }
    if let Some(refusal) = nobody_reached(&places) {
        return Ok(Decision::Refused(refusal));
    }
    Ok(match accept.rate {
        Ok(()) => Decision::Write(places),
        Err(millis) => Decision::Refused(Refusal::RateLimited(millis)),
    })
}

/// A device that the message is for, with its copy; without one if it is dormant.
struct Matched<K> {
    key: K,
    queue: Load,
    copy: Option<Copy>,
    /// The device, if a copy came for it; also if it is dormant.
    given: Option<DeviceId>,
}

/// Matches the copies with the list, leaving out the sending device. A device without a copy is addressed only if it is
/// dormant.
fn match_copies<K>(
    accept: &Accept,
    devices: impl IntoIterator<Item = Recipient<K>>,
    now: UnixMillis,
) -> Result<Vec<Matched<K>>, Refusal> {
    let (mut missing, mut extra, mut stale) = (Vec::new(), Vec::new(), Vec::new());
    let mut matched = Vec::new();
    let mut copies: Vec<Option<&Copy>> = accept.send.copies.iter().map(Some).collect();
    for Recipient { key, address, last_seen_at, queue } in devices.into_iter().filter(|to| to.address != accept.from) {
        let is_dormant = now.since(last_seen_at) >= accept.limits.dormant_after_millis;
        let copy = copies.iter_mut().find(|copy| copy.is_some_and(|copy| copy.device == address.device));
        match copy.and_then(Option::take) {
            Some(copy) if holds(Countermeasure::RegistrationKey, copy.registration == address.registration) => {
                let given = Some(copy.device);
                matched.push(Matched { key, queue, copy: (!is_dormant).then(|| copy.clone()), given });
            }
            Some(copy) => stale.push(copy.device),
            None if accept.send.kind == SendKind::Device => {}
            None if is_dormant => matched.push(Matched { key, queue, copy: None, given: None }),
            None => missing.push(address.device),
        }
    }
    extra.extend(copies.into_iter().flatten().map(|copy| copy.device));
    if accept.send.kind == SendKind::Device {
        // A message to one device has exactly one copy.
        extra.extend(matched.iter().skip(1).filter_map(|matched| matched.given));
    }
    let one_is_there = accept.send.kind == SendKind::Message || matched.len() == 1;
    if missing.is_empty() && extra.is_empty() && stale.is_empty() && one_is_there {
        Ok(matched)
    } else {
        Err(Refusal::DevicesMismatch { missing, extra, stale })
    }
}

/// Decides on the copy of one device that is not dormant.
fn place<E>(
    copy: Copy,
    limits: &QueueLimits,
    queue: Load,
    share: impl FnOnce() -> Result<Load, E>,
) -> Result<Place, E> {
    let bytes = size(&copy);
    if queue.messages >= limits.messages_max || queue.bytes.saturating_add(bytes) > limits.bytes_max {
        return Ok(Place::Skipped(SkipReason::QueueFull));
    }
    let share = share()?;
    let is_fair = QueueLimits::is_fair(limits.messages_max, queue.messages, share.messages, 1)
        && QueueLimits::is_fair(limits.bytes_max, queue.bytes, share.bytes, bytes);
    let has_room = share.messages < limits.sender_messages_max && holds(Countermeasure::FairShare, is_fair);
    Ok(if has_room { Place::Queued(copy) } else { Place::Share })
}

/// Returns why no device gets a copy; `None` when one does, or when no device is addressed.
fn nobody_reached<K>(places: &[(K, Place)]) -> Option<Refusal> {
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

/// Returns the bytes that a copy takes in a queue.
#[must_use]
pub fn size(copy: &Copy) -> u64 {
    u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX)
}
