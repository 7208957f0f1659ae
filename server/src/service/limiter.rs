//! Rate limits: token buckets over the injected clock, every limit in one table.
//!
//! Memory is bounded: each limit keeps at most [`ENTRIES_MAX`] buckets. A bucket that has filled up again says nothing and
//! is dropped first; where every bucket is still in use, the table's [`Crowding`] decides.

use std::collections::HashMap;

use parking_lot::{Mutex, RwLock};
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

mod alarm;
mod table;

pub use alarm::LOOKUPS_REFUSED_MAX;
pub use table::{Crowding, Limit, LimitError, LimitName, LimitTable, Rule};

/// Buckets kept for one limit: some 10 MiB for all of them at worst.
pub const ENTRIES_MAX: usize = 16_384;

/// At a crowded table the fullest of this many parts of it makes place at once, so that the search is paid for by many
/// insertions.
const EVICTION_SHARE: usize = 8;

/// Whom a bucket is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// Everybody: one bucket.
    Server,
    /// A network address, IPv6 cut to its /64; see [`client_network`](crate::domain::address::client_network).
    Network([u8; 16]),
    /// A username, whether or not there is such an account: hash of the folded name.
    Name([u8; 32]),
    /// An account.
    Account(AccountId),
    /// A device.
    Device(DeviceAddress),
    /// From one account to another.
    Pair(AccountId, AccountId),
    /// From an account to a device.
    PairDevice(AccountId, DeviceAddress),
}

/// What is left in a bucket, in parts of a token (see [`Limit::parts`]), and since when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at: UnixMillis,
}

impl Bucket {
    const fn full(limit: &Limit, now: UnixMillis) -> Self {
        Self { level: limit.capacity(), at: now }
    }

    /// A clock that goes back refills nothing and takes nothing.
    fn refilled(self, limit: &Limit, now: UnixMillis) -> Self {
        let gained = now.since(self.at).saturating_mul(u64::from(limit.tokens));
        let level = self.level.saturating_add(gained).min(limit.capacity());
        Self { level, at: UnixMillis(self.at.0.max(now.0)) }
    }

    /// `Ok` when a whole token is there, else the ms until it is.
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
    /// One lock a limit, so that a flood at one does not hold up the others.
    buckets: Vec<Mutex<Buckets>>,
    lookups: Mutex<alarm::Hour>,
}

impl Limiter {
    /// All buckets full.
    #[must_use]
    pub fn new(table: LimitTable) -> Self {
        let buckets = LimitName::ALL.iter().map(|_| Mutex::default()).collect();
        Self { table: RwLock::new(table), buckets, lookups: Mutex::new(alarm::Hour::none()) }
    }

    /// Puts another table in force. What is left in each bucket stays, as a number of tokens, so that a change gives nobody a
    /// fresh start.
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
    /// When none is left, and takes nothing: the ms until there is one.
    pub fn take(&self, now: UnixMillis, name: LimitName, key: LimitKey) -> Result<(), u64> {
        self.with(now, name, key, |limit, bucket| {
            let allowed = bucket.allows(limit);
            if allowed.is_ok() {
                bucket.level = bucket.level.saturating_sub(limit.parts());
            }
            allowed
        })
    }

    /// Whether [`take`](Self::take) would succeed; takes nothing.
    ///
    /// # Errors
    /// The ms until there is a token.
    pub fn peek(&self, now: UnixMillis, name: LimitName, key: LimitKey) -> Result<(), u64> {
        let table = self.table.read();
        let limit = table.limit(name);
        let Some(buckets) = self.buckets.get(name.index()) else { return Ok(()) };
        match buckets.lock().get(&key) {
            Some(bucket) => bucket.refilled(limit, now).allows(limit),
            None => Ok(()),
        }
    }

    /// Gives a token back: for what was allowed by [`take`](Self::take) and then did not happen.
    pub fn give_back(&self, now: UnixMillis, name: LimitName, key: LimitKey) {
        let _ = self.with(now, name, key, |limit, bucket| {
            bucket.level = bucket.level.saturating_add(limit.parts()).min(limit.capacity());
            Ok(())
        });
    }

    /// Notes that a look-up was refused. Whether that raises the alarm: once an hour, when they were too many.
    pub fn lookup_refused(&self, now: UnixMillis) -> bool {
        self.lookups.lock().refused(now)
    }

    /// Takes a token of [`LimitName::SendPair`] for a message.
    ///
    /// # Errors
    /// The ms until there is one.
    pub fn take_send(&self, from: &DeviceAddress, to: &AccountId, now: UnixMillis) -> Result<(), u64> {
        self.take(now, LimitName::SendPair, LimitKey::Pair(from.account, *to))
    }

    /// Gives that token back: the message was not a new one, or was refused.
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
        // Held until the end: no table comes between the limit and its bucket.
        let table = self.table.read();
        let limit = table.limit(name);
        let Some(buckets) = self.buckets.get(name.index()) else { return Ok(()) };
        let mut buckets = buckets.lock();
        if !buckets.contains_key(&key) && buckets.len() >= ENTRIES_MAX && !make_place(&mut buckets, name, limit, now) {
            // Fail closed: nobody new gets in before a bucket has filled up.
            return Err(limit.refill_millis());
        }
        let bucket = buckets.entry(key).or_insert(Bucket::full(limit, now));
        *bucket = bucket.refilled(limit, now);
        act(limit, bucket)
    }
}

/// A level of one limit in the parts of another, at most what a full bucket has.
fn converted(level: u64, from: &Limit, to: &Limit) -> u64 {
    let exact = u128::from(level).saturating_mul(u128::from(to.parts())) / u128::from(from.parts().max(1));
    u64::try_from(exact).unwrap_or(u64::MAX).min(to.capacity())
}

/// Drops what has filled up again; then, in a table that fails open, the fullest. The emptiest stay, which are those of
/// whoever is being limited, so that a flood of new keys buys nobody a fresh bucket.
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
