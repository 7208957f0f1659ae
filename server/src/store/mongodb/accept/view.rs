//! What a batch is decided on: lists, windows and counters, read once, and changed in memory by each message in turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::frames::{Copy, SendKind, SkipReason};
use sealpost_crypto::sabotage::left_out;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use crate::domain::window::{NumberState, NumberWindow};
use crate::store::mongodb::documents::{Hot, Listing, Row, in_queue, listed};
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::{Db, queue, removal, values};
use crate::store::{Accept, AcceptOutcome, QueueLimits, Refusal};

/// What becomes of one device's copy.
pub(super) enum Place {
    /// It is queued.
    Queued(Copy),
    /// The device is away or its queue is full.
    Skipped(SkipReason),
    /// The sender account has its share of this queue already.
    Share,
}

/// What becomes of a message.
pub(super) enum Step {
    /// It is answered without a write.
    Done(AcceptOutcome),
    /// Its number was accepted before.
    Repeated,
    /// It is written.
    Write(Vec<(DeviceAddress, Place)>),
}

/// What one account has waiting in the queue of one device.
#[derive(Clone, Copy, Default)]
struct Share {
    messages: u64,
    bytes: u64,
}

/// See the module.
pub(super) struct View {
    listings: BTreeMap<AccountId, Listing>,
    /// As read; `messages` and `bytes` with what this batch adds.
    hot: BTreeMap<DeviceAddress, Hot>,
    /// With what this batch adds.
    windows: HashMap<DeviceAddress, NumberWindow>,
    shares: HashMap<(DeviceAddress, AccountId), Share>,
}

fn refused(refusal: Refusal) -> Step {
    Step::Done(AcceptOutcome::Refused(refusal))
}

impl View {
    pub(super) async fn load(db: &Db, accepts: &[(&Accept, UnixMillis)]) -> Result<Self, DbError> {
        let accounts: BTreeSet<AccountId> =
            accepts.iter().flat_map(|(accept, _)| [accept.from.account, accept.send.to]).collect();
        let (listings, hot) =
            tokio::try_join!(removal::listings(db, accounts.iter().copied()), db.all_hot(accounts.iter().copied()))?;
        let mut view = Self { listings, hot, windows: HashMap::new(), shares: HashMap::new() };
        for (account, listing) in &view.listings {
            for device in &listing.devices {
                let address = values::join(*account, device.id, &device.registration)?;
                match view.hot.get_mut(&address) {
                    Some(hot) => hot.last_seen_at = hot.last_seen_at.max(device.since),
                    None => {
                        queue::ensure(db, &address, device.since).await?;
                        view.hot.insert(address, Hot::new(&address, device.since));
                    }
                }
            }
        }
        view.load_shares(db, accepts).await?;
        Ok(view)
    }

    /// Counts what senders have in the queues where it could matter: in the others nobody has too much.
    async fn load_shares(&mut self, db: &Db, accepts: &[(&Accept, UnixMillis)]) -> Result<(), DbError> {
        let messages = u64::try_from(accepts.len()).unwrap_or(u64::MAX);
        let bytes = |accept: &Accept| accept.send.copies.iter().map(size).fold(0, u64::saturating_add);
        let bytes = accepts.iter().map(|(accept, _)| bytes(accept)).fold(0, u64::saturating_add);
        for (accept, _) in accepts {
            let Some(listing) = self.listings.get(&accept.send.to) else { continue };
            for address in listed(accept.send.to, &listing.devices)? {
                let key = (address, accept.from.account);
                let Some(hot) = self.hot.get(&address).filter(|_| !self.shares.contains_key(&key)) else { continue };
                let limits = &accept.limits;
                let (rows, stored) = (values::count(hot.messages).saturating_add(messages), values::count(hot.bytes));
                let roomy = rows < limits.sender_messages_max
                    && QueueLimits::is_fair(limits.messages_max, rows, limits.messages_max, 1)
                    && QueueLimits::is_fair(limits.bytes_max, stored, limits.bytes_max, bytes);
                if roomy {
                    continue;
                }
                let (first, last) = values::addresses(accept.from.account);
                let mut of_sender = in_queue(&address);
                of_sender.insert("from", doc! { "$gte": first, "$lte": last });
                let (messages, bytes) = queue::count(db, of_sender).await?;
                let share = Share { messages: values::count(messages), bytes: values::count(bytes) };
                self.shares.insert(key, share);
            }
        }
        Ok(())
    }

    /// A device's document as it was read.
    pub(super) fn hot(&self, address: &DeviceAddress) -> Option<&Hot> {
        self.hot.get(address)
    }

    /// The version of a list that this batch was decided on.
    pub(super) fn list_version(&self, account: &AccountId) -> Option<i64> {
        self.listings.get(account).map(|listing| listing.list_version)
    }

    fn is_listed(&self, address: &DeviceAddress) -> Result<bool, DbError> {
        match self.listings.get(&address.account) {
            Some(listing) => Ok(listed(address.account, &listing.devices)?.contains(address)),
            None => Ok(false),
        }
    }

    /// See [`crate::store::QueueStore::accept`]; nothing is written before all of it is decided.
    pub(super) fn decide(&mut self, accept: &Accept, now: UnixMillis) -> Result<Step, DbError> {
        let Some(from) = self.hot.get(&accept.from).filter(|_| self.is_listed(&accept.from).unwrap_or(false)) else {
            return Ok(refused(Refusal::RecipientUnknown));
        };
        if !left_out(22) && from.epoch != accept.epoch.0.cast_signed() {
            return Ok(refused(Refusal::Superseded));
        }
        let window = match self.windows.get(&accept.from) {
            Some(window) => window.clone(),
            None => from.window()?,
        };
        match window.state(accept.send.number) {
            NumberState::New => {}
            NumberState::TooOld => return Ok(refused(Refusal::NumberTooOld)),
            NumberState::Accepted if left_out(16) => {}
            NumberState::Accepted => return Ok(Step::Repeated),
        }
        let Some(listing) = self.listings.get(&accept.send.to) else {
            return Ok(refused(Refusal::RecipientUnknown));
        };
        let devices = listed(accept.send.to, &listing.devices)?;
        let addressed = match self.address(accept, &devices, now) {
            Ok(addressed) => addressed,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let places: Vec<_> = addressed.into_iter().map(|(to, copy)| (to, self.place(&to, copy, accept, now))).collect();
        if let Some(refusal) = nobody_reached(&places) {
            return Ok(refused(refusal));
        }
        if let Err(millis) = accept.rate {
            return Ok(refused(Refusal::RateLimited(millis)));
        }
        self.add(accept, window, &places);
        Ok(Step::Write(places))
    }

    /// Matches the copies with the list. A device without a copy stays only if it is dormant.
    fn address(
        &self,
        accept: &Accept,
        devices: &[DeviceAddress],
        now: UnixMillis,
    ) -> Result<Vec<(DeviceAddress, Option<Copy>)>, Refusal> {
        let (mut missing, mut extra, mut stale) = (Vec::new(), Vec::new(), Vec::new());
        let mut addressed = Vec::with_capacity(devices.len());
        let mut copies: Vec<Option<&Copy>> = accept.send.copies.iter().map(Some).collect();
        for address in devices.iter().filter(|address| **address != accept.from) {
            let copy = copies
                .iter_mut()
                .find(|copy| copy.is_some_and(|copy| copy.device == address.device))
                .and_then(Option::take);
            match copy {
                Some(copy) if copy.registration == address.registration || left_out(26) => {
                    addressed.push((*address, Some(copy.clone())));
                }
                Some(copy) => stale.push(copy.device),
                None if accept.send.kind == SendKind::Device => {}
                None if self.dormant(address, &accept.limits, now) => addressed.push((*address, None)),
                None => missing.push(address.device),
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

    fn dormant(&self, address: &DeviceAddress, limits: &QueueLimits, now: UnixMillis) -> bool {
        let seen = self.hot.get(address).map_or(0, |hot| hot.last_seen_at);
        now.since(values::millis(seen)) >= limits.dormant_after_millis
    }

    fn place(&self, to: &DeviceAddress, copy: Option<Copy>, accept: &Accept, now: UnixMillis) -> Place {
        let limits = &accept.limits;
        let Some(copy) = copy.filter(|_| !self.dormant(to, limits, now)) else {
            return Place::Skipped(SkipReason::Dormant);
        };
        let (messages, stored) =
            self.hot.get(to).map_or((0, 0), |hot| (values::count(hot.messages), values::count(hot.bytes)));
        let bytes = size(&copy);
        if messages >= limits.messages_max || stored.saturating_add(bytes) > limits.bytes_max {
            return Place::Skipped(SkipReason::QueueFull);
        }
        let share = self.shares.get(&(*to, accept.from.account)).copied().unwrap_or_default();
        let fair = left_out(24)
            || (QueueLimits::is_fair(limits.messages_max, messages, share.messages, 1)
                && QueueLimits::is_fair(limits.bytes_max, stored, share.bytes, bytes));
        if share.messages >= limits.sender_messages_max || !fair { Place::Share } else { Place::Queued(copy) }
    }

    /// What the next message of this batch finds.
    fn add(&mut self, accept: &Accept, mut window: NumberWindow, places: &[(DeviceAddress, Place)]) {
        window.record(accept.send.number);
        self.windows.insert(accept.from, window);
        for (to, place) in places {
            let Place::Queued(copy) = place else { continue };
            if let Some(hot) = self.hot.get_mut(to) {
                hot.messages = hot.messages.saturating_add(1);
                hot.bytes = hot.bytes.saturating_add(values::number(size(copy)));
            }
            let share = self.shares.entry((*to, accept.from.account)).or_default();
            share.messages = share.messages.saturating_add(1);
            share.bytes = share.bytes.saturating_add(size(copy));
        }
    }
}

/// A copy's bytes.
pub(super) fn size(copy: &Copy) -> u64 {
    u64::try_from(copy.ciphertext.len()).unwrap_or(u64::MAX)
}

/// Why nobody gets a copy; `None` when somebody does, or when nobody had to (an account's only device writes to it).
fn nobody_reached(places: &[(DeviceAddress, Place)]) -> Option<Refusal> {
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

/// A number that was accepted before: a repetition, unless a copy that still waits has other bytes.
pub(super) async fn repeated(db: &Db, view: &View, accept: &Accept) -> Result<AcceptOutcome, DbError> {
    for copy in &accept.send.copies {
        let to = DeviceAddress { account: accept.send.to, device: copy.device, registration: copy.registration };
        if !view.is_listed(&to)? {
            continue;
        }
        let stored = stored(db, &to, accept).await?;
        if stored.is_some_and(|stored| stored.ciphertext.bytes != *copy.ciphertext) {
            return Ok(AcceptOutcome::Refused(Refusal::NumberConflict));
        }
    }
    Ok(AcceptOutcome::AlreadyAccepted)
}

/// The row in which a device's copy of this message waits.
pub(super) async fn stored(db: &Db, to: &DeviceAddress, accept: &Accept) -> Result<Option<Row>, DbError> {
    let mut row = in_queue(to);
    row.extend(doc! { "from": values::address(&accept.from), "number": accept.send.number.0.cast_signed() });
    let mut found = db.queue.find(row).limit(1).await?;
    Ok(found.try_next().await?)
}
