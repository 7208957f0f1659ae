//! Rate limits: token buckets over an injected clock, with every limit in one table.
//!
//! Memory is bounded: each limit keeps at most [`ENTRIES_MAX`] buckets. A bucket that has filled up again carries no
//! information and is dropped first. If every bucket is in use, the table's [`Crowding`] decides.

use std::collections::HashMap;

use parking_lot::{Mutex, RwLock};
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

mod alarm;
mod table;

pub use alarm::LOOKUPS_REFUSED_MAX;
pub use table::{Crowding, LimitError, LimitName, LimitTable, Rule};

use crate::base::config::Limit;

/// The most buckets kept for one limit. All limits together take some 10 MiB at worst.
pub const ENTRIES_MAX: usize = 16_384;

/// When a table is full, evicts this fraction of it, fullest buckets first, so that the scan is amortised over many
/// insertions.
const EVICTION_SHARE: usize = 8;

/// What a bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// The whole server, in one bucket.
    Server,
    /// A network address, IPv6 cut to its /64; see [`client_network`](crate::domain::address::client_network).
    Network([u8; 16]),
    /// A username, whether or not the account exists: the hash of the folded name.
    Name([u8; 32]),
    /// An account.
    Account(AccountId),
    /// A device.
    Device(DeviceAddress),
    /// One account's requests to another.
    Pair(AccountId, AccountId),
    /// One account's requests to a device.
    PairDevice(AccountId, DeviceAddress),
}

/// The level of a bucket in parts of a token (see [`Limit::parts`]), and the time of that level.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at: UnixMillis,
}

impl Bucket {
    const fn full(limit: &Limit, now: UnixMillis) -> Self {
        Self { level: limit.capacity(), at: now }
    }

    /// Refills the bucket up to now. A clock that goes back neither adds nor removes anything.
    fn refilled(self, limit: &Limit, now: UnixMillis) -> Self {
        let gained = now.since(self.at).saturating_mul(u64::from(limit.tokens));
        let level = self.level.saturating_add(gained).min(limit.capacity());
        Self { level, at: UnixMillis(self.at.0.max(now.0)) }
    }

    /// Returns `Ok` if a whole token is there, and otherwise the ms until it is.
    fn allows(&self, limit: &Limit) -> Result<(), u64> {
        let missing = limit.parts().saturating_sub(self.level);
        if missing == 0 { Ok(()) } else { Err(missing.div_ceil(u64::from(limit.tokens).max(1))) }
    }
}

type Buckets = HashMap<LimitKey, Bucket>;

/// Every rate limit of the server.
#[derive(Debug)]
pub struct Limiter {
    table: RwLock<LimitTable>,
    /// Each limit has its own lock, so that a flood at one does not hold up the others.
    buckets: Vec<Mutex<Buckets>>,
    lookups: Mutex<alarm::Hour>,
}

impl Limiter {
    /// Creates the limits with full buckets.
    #[must_use]
    pub fn new(table: LimitTable) -> Self {
        let buckets = LimitName::ALL.iter().map(|_| Mutex::default()).collect();
        Self { table: RwLock::new(table), buckets, lookups: Mutex::new(alarm::Hour::none()) }
    }

    /// Replaces the table. Each bucket keeps its number of tokens, so that a change gives nobody a fresh start.
    pub fn replace(&self, table: LimitTable) {
        let mut current = self.table.write();
        for ((name, before), buckets) in current.iter().zip(&self.buckets) {
            let limit = table.limit(name);
            if before != limit {
                buckets.lock().values_mut().for_each(|bucket| bucket.level = converted(bucket.level, before, limit));
            }
        }
        *current = table;
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The ms until a token is there, if none is left. Nothing is taken then.
    pub fn take(&self, now: UnixMillis, name: LimitName, key: LimitKey) -> Result<(), u64> {
        self.with(now, name, key, |limit, bucket| {
            let allowed = bucket.allows(limit);
            if allowed.is_ok() {
                bucket.level = bucket.level.saturating_sub(limit.parts());
            }
            allowed
        })
    }

    /// Checks whether [`take`](Self::take) would succeed, without taking a token.
    ///
    /// # Errors
    /// The ms until a token is there.
    pub fn peek(&self, now: UnixMillis, name: LimitName, key: LimitKey) -> Result<(), u64> {
        let table = self.table.read();
        let limit = table.limit(name);
        let Some(buckets) = self.buckets.get(name.index()) else { return Ok(()) };
        match buckets.lock().get(&key) {
            Some(bucket) => bucket.refilled(limit, now).allows(limit),
            None => Ok(()),
        }
    }

    /// Gives a token back for something that [`take`](Self::take) allowed and that then did not happen.
    pub fn give_back(&self, now: UnixMillis, name: LimitName, key: LimitKey) {
        let _ = self.with(now, name, key, |limit, bucket| {
            bucket.level = bucket.level.saturating_add(limit.parts()).min(limit.capacity());
            Ok(())
        });
    }

    /// Counts a refused look-up. Returns whether that raises the alarm, which happens once an hour if there were too
    /// many.
    pub fn lookup_refused(&self, now: UnixMillis) -> bool {
        self.lookups.lock().refused(now)
    }

    /// Takes a token of [`LimitName::SendPair`] for a message.
    ///
    /// # Errors
    /// The ms until a token is there.
    pub fn take_send(&self, from: &DeviceAddress, to: &AccountId, now: UnixMillis) -> Result<(), u64> {
        self.take(now, LimitName::SendPair, LimitKey::Pair(from.account, *to))
    }

    /// Gives that token back, because the message was refused or was not new.
    pub fn give_back_send(&self, from: &DeviceAddress, to: &AccountId, now: UnixMillis) {
        self.give_back(now, LimitName::SendPair, LimitKey::Pair(from.account, *to));
    }

    fn with(
        &self,
        now: UnixMillis,
        name: LimitName,
        key: LimitKey,
        act: impl FnOnce(&Limit, &mut Bucket) -> Result<(), u64>,
    ) -> Result<(), u64> {
        // Held until the end, so that no other table can be put between the limit and its bucket.
        let table = self.table.read();
        let limit = table.limit(name);
        let Some(buckets) = self.buckets.get(name.index()) else { return Ok(()) };
        let mut buckets = buckets.lock();
        if !buckets.contains_key(&key) && buckets.len() >= ENTRIES_MAX && !make_place(&mut buckets, name, limit, now) {
            // Fail closed: no new key is accepted until a bucket has filled up.
            return Err(limit.refill_millis());
        }
        let bucket = buckets.entry(key).or_insert(Bucket::full(limit, now));
        *bucket = bucket.refilled(limit, now);
        act(limit, bucket)
    }
}

/// Converts a level of one limit into the parts of another, at most a full bucket.
fn converted(level: u64, from: &Limit, to: &Limit) -> u64 {
    let exact = u128::from(level).saturating_mul(u128::from(to.parts())) / u128::from(from.parts().max(1));
    u64::try_from(exact).unwrap_or(u64::MAX).min(to.capacity())
}

/// Drops the buckets that have filled up again. If the table fails open, it then drops the fullest ones. The emptiest
/// stay, because they belong to the keys that are being limited, so a flood of new keys gives nobody a fresh bucket.
fn make_place(buckets: &mut Buckets, name: LimitName, limit: &Limit, now: UnixMillis) -> bool {
    buckets.retain(|_, bucket| bucket.refilled(limit, now).level < limit.capacity());
    if buckets.len() < ENTRIES_MAX {
        return true;
    }
    if name.rule().crowding == Crowding::Closed {
        return false;
    }
    let mut levels: Vec<u64> = buckets.values().map(|bucket| bucket.refilled(limit, now).level).collect();
    let share = (levels.len() / EVICTION_SHARE).max(1);
    let kept = levels.len().saturating_sub(share);
    let (_, threshold, _) = levels.select_nth_unstable(kept);
    let threshold = *threshold;
    let mut left = share;
    buckets.retain(|_, bucket| {
        let evicted = left > 0 && bucket.refilled(limit, now).level >= threshold;
        left = left.saturating_sub(usize::from(evicted));
        !evicted
    });
    true
}

#[cfg(test)]
mod tests;
