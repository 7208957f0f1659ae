//! What a batch is decided on: lists, windows and counters, read once, and changed in memory by each message in turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use crate::domain::accepting::{Accept, Decision, Place, Recipient, Refusal, Seen, decide, judge_number, size};
use crate::domain::quotas::{Load, QueueLimits};
use crate::domain::window::NumberWindow;
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::collections::devices::{ensure, is_superseded};
use crate::store::mongodb::collections::{listings, rows};
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::accounts::{Listing, listed};
use crate::store::mongodb::documents::devices::{Hot, in_queue};
use crate::store::mongodb::documents::queue::Row;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;
use crate::store::queue::AcceptOutcome;

/// What becomes of a message.
pub(super) enum Step {
    /// It is answered without a write.
    Done(AcceptOutcome),
    /// Its number was accepted before.
    Repeated,
    /// It is written.
    Write(Vec<(DeviceAddress, Place)>),
}

/// What a batch is decided on.
pub(super) struct View {
    listings: BTreeMap<AccountId, Listing>,
    /// As read, except that `messages` and `bytes` include what this batch adds.
    hot: BTreeMap<DeviceAddress, Hot>,
    /// Accounts with a document that cannot be true. Only messages from or to them fail.
    corrupt: BTreeSet<AccountId>,
    /// Including what this batch adds.
    windows: HashMap<DeviceAddress, NumberWindow>,
    /// What sender accounts have in queues, as far as it matters, including what this batch adds.
    shares: HashMap<(DeviceAddress, AccountId), Load>,
}

/// The step that refuses a message.
fn refused(refusal: Refusal) -> Step {
    Step::Done(AcceptOutcome::Refused(refusal))
}

impl View {
    /// Reads everything that the batch is decided on. Makes the documents of devices that have none.
    pub(super) async fn load(db: &Db, accepts: &[(&Accept, UnixMillis)]) -> Result<Self, DbError> {
        let accounts: BTreeSet<AccountId> =
            accepts.iter().flat_map(|(accept, _)| [accept.from.account, accept.send.to]).collect();
        let (listings, hot) =
            tokio::try_join!(listings::sound_listings(db, &accounts), db.sound_hot(accounts.iter().copied()))?;
        let ((listings, corrupt), (hot, corrupt_hot)) = (listings, hot);
        let mut view = Self { listings, hot, corrupt, windows: HashMap::new(), shares: HashMap::new() };
        let mut new = Vec::new();
        for (account, listing) in &view.listings {
            let Ok(devices) = listed(*account, &listing.devices) else {
                view.corrupt.insert(*account);
                continue;
            };
            for (address, device) in devices.into_iter().zip(&listing.devices) {
                match view.hot.get_mut(&address) {
                    Some(hot) => hot.last_seen_at = hot.last_seen_at.max(device.since),
                    None if corrupt_hot.contains(&address) => drop(view.corrupt.insert(*account)),
                    None => new.push((address, device.since)),
                }
            }
        }
        let mut making = Vec::with_capacity(new.len());
        for (address, since) in new {
            view.hot.insert(address, Hot::new(&address, since));
            making.push(async move { ensure(db, &address, since).await });
        }
        at_once(making).await.into_iter().collect::<Result<(), DbError>>()?;
        view.load_shares(db, accepts).await?;
        Ok(view)
    }

    /// Counts what senders have in the queues where it could matter. In the others no sender has too much.
    async fn load_shares(&mut self, db: &Db, accepts: &[(&Accept, UnixMillis)]) -> Result<(), DbError> {
        let messages = u64::try_from(accepts.len()).unwrap_or(u64::MAX);
        let bytes = |accept: &Accept| accept.send.copies.iter().map(size).fold(0, u64::saturating_add);
        let bytes = accepts.iter().map(|(accept, _)| bytes(accept)).fold(0, u64::saturating_add);
        let mut wanted = BTreeSet::new();
        for (accept, _) in accepts.iter().filter(|(accept, _)| !self.corrupt.contains(&accept.send.to)) {
            let Some(listing) = self.listings.get(&accept.send.to) else { continue };
            for address in listed(accept.send.to, &listing.devices)? {
                let Some(hot) = self.hot.get(&address) else { continue };
                let limits = &accept.limits;
                let (rows, stored) = (values::count(hot.messages).saturating_add(messages), values::count(hot.bytes));
                let roomy = rows < limits.sender_messages_max
                    && QueueLimits::is_fair(limits.messages_max, rows, limits.messages_max, 1)
                    && QueueLimits::is_fair(limits.bytes_max, stored, limits.bytes_max, bytes);
                if !roomy {
                    wanted.insert((address, accept.from.account));
                }
            }
        }
        let mut counts = Vec::with_capacity(wanted.len());
        for (address, sender) in wanted {
            counts.push(async move {
                let (first, last) = values::addresses(sender);
                let mut of_sender = in_queue(&address);
                of_sender.insert("from", doc! { "$gte": first, "$lte": last });
                let (messages, bytes) = rows::count(db, of_sender).await?;
                let load = Load { messages: values::count(messages), bytes: values::count(bytes) };
                Ok(((address, sender), load))
            });
        }
        self.shares = at_once(counts).await.into_iter().collect::<Result<_, DbError>>()?;
        Ok(())
    }

    /// Returns a device's document as it was read.
    pub(super) fn hot(&self, address: &DeviceAddress) -> Option<&Hot> {
        self.hot.get(address)
    }

    /// Returns the version of the list that this batch was decided on.
    pub(super) fn list_version(&self, account: &AccountId) -> Option<i64> {
        self.listings.get(account).map(|listing| listing.list_version)
    }

    /// Returns whether a device is in its account's current list.
    fn is_listed(&self, address: &DeviceAddress) -> Result<bool, DbError> {
        match self.listings.get(&address.account) {
            Some(listing) => Ok(listed(address.account, &listing.devices)?.contains(address)),
            None => Ok(false),
        }
    }

    /// See [`QueueStore::accept`](crate::store::QueueStore::accept). Decides everything before anything is written.
    pub(super) fn decide(&mut self, accept: &Accept, now: UnixMillis) -> Result<Step, DbError> {
        if [accept.from.account, accept.send.to].iter().any(|account| self.corrupt.contains(account)) {
            return Err(DbError::Corrupt("a document has another form than it was written with"));
        }
        let is_listed = self.is_listed(&accept.from)?;
        let Some(from) = self.hot.get(&accept.from).filter(|_| is_listed) else {
            return Ok(refused(Refusal::RecipientUnknown));
        };
        if is_superseded(from.epoch, accept.epoch)? {
            return Ok(refused(Refusal::Superseded));
        }
        let window = match self.windows.get(&accept.from) {
            Some(window) => window.clone(),
            None => from.window()?,
        };
        match judge_number(&window, accept.send.number) {
            Ok(Seen::First) => {}
            Ok(Seen::Before) => return Ok(Step::Repeated),
            Err(refusal) => return Ok(refused(refusal)),
        }
        let Some(listing) = self.listings.get(&accept.send.to) else {
            return Ok(refused(Refusal::RecipientUnknown));
        };
        let devices = listed(accept.send.to, &listing.devices)?.into_iter().map(|address| {
            let hot = self.hot.get(&address);
            let queue = hot.map_or_else(Load::default, |hot| Load {
                messages: values::count(hot.messages),
                bytes: values::count(hot.bytes),
            });
            let last_seen_at = values::millis(hot.map_or(0, |hot| hot.last_seen_at));
            Recipient { key: address, address, last_seen_at, queue }
        });
        let share = |to: &DeviceAddress| {
            Ok::<Load, Infallible>(self.shares.get(&(*to, accept.from.account)).copied().unwrap_or_default())
        };
        let Ok(decision) = decide(accept, devices, now, share);
        match decision {
            Decision::Refused(refusal) => Ok(refused(refusal)),
            Decision::Write(places) => {
                self.add(accept, window, &places);
                Ok(Step::Write(places))
            }
        }
    }

    /// Adds a message to what the next messages of this batch find.
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

/// Answers a number that was accepted before: a repetition, unless a copy that still waits has other bytes.
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

/// Returns the row in which a device's copy of this message waits.
pub(super) async fn stored(db: &Db, to: &DeviceAddress, accept: &Accept) -> Result<Option<Row>, DbError> {
    let mut row = in_queue(to);
    row.extend(doc! { "from": values::address(&accept.from), "number": accept.send.number.0.cast_signed() });
    let mut found = db.queue.find(row).limit(1).await?;
    Ok(found.try_next().await?)
}
