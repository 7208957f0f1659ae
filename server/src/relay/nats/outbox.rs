//! Hints that wait to be sent. Each waits once, however often it is added, and their number is bounded.

use std::collections::{BTreeSet, HashSet};

use parking_lot::Mutex;
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress};
use tokio::sync::Notify;

use crate::relay::Hint;

/// The most waiting hints of each kind, which take at most 4 MiB. Further ones are dropped instead of growing while the
/// relay is slow, and the sweeps of the other nodes find what they were about.
const WAITING_MAX: usize = 16_384;

#[derive(Debug, Default)]
struct Waiting {
    wakes: HashSet<DeviceAddress>,
    connected: HashSet<DeviceAddress>,
    lists: HashSet<AccountId>,
    ended: BTreeSet<SessionId>,
}

/// Adding never blocks for longer than a short lock.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

impl Outbox {
    /// Adds a hint. Returns how many of its parts were dropped.
    pub(super) fn put(&self, hint: Hint) -> u64 {
        let mut waiting = self.waiting.lock();
        let dropped = match hint {
            Hint::Wake(address) => put(&mut waiting.wakes, address),
            Hint::Connected(address) => put(&mut waiting.connected, address),
            Hint::DeviceListChanged(account) => put(&mut waiting.lists, account),
            Hint::SessionsEnded(sessions) => {
                let mut dropped = 0_u64;
                for session in sessions {
                    if waiting.ended.len() < WAITING_MAX {
                        waiting.ended.insert(session);
                    } else {
                        dropped = dropped.saturating_add(1);
                    }
                }
                dropped
            }
        };
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Waits for hints and takes all of them, urgent ones first.
    pub(super) async fn take(&self) -> Vec<Hint> {
        loop {
            let Waiting { wakes, connected, lists, ended } = std::mem::take(&mut *self.waiting.lock());
            let mut hints = Vec::new();
            if !ended.is_empty() {
                hints.push(Hint::SessionsEnded(ended.into_iter().collect()));
            }
            hints.extend(connected.into_iter().map(Hint::Connected));
            hints.extend(wakes.into_iter().map(Hint::Wake));
            hints.extend(lists.into_iter().map(Hint::DeviceListChanged));
            if !hints.is_empty() {
                return hints;
            }
            self.filled.notified().await;
        }
    }
}

fn put<T: Eq + std::hash::Hash>(set: &mut HashSet<T>, item: T) -> u64 {
    if set.len() >= WAITING_MAX && !set.contains(&item) {
        return 1;
    }
    set.insert(item);
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: u128) -> AccountId {
        AccountId::from_bytes(id.to_be_bytes())
    }

    #[tokio::test]
    async fn a_hint_that_waits_is_sent_once_however_often_it_is_given() {
        let outbox = Outbox::default();
        for _ in 0..1_000 {
            assert_eq!(outbox.put(Hint::DeviceListChanged(account(1))), 0);
        }
        let session = SessionId::from_bytes([1; 16]);
        outbox.put(Hint::SessionsEnded(vec![session, session]));
        let taken = outbox.take().await;
        assert_eq!(taken, [Hint::SessionsEnded(vec![session]), Hint::DeviceListChanged(account(1))]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let outbox = Outbox::default();
        let dropped: u64 = (0..20_000).map(|id| outbox.put(Hint::DeviceListChanged(account(id)))).sum();
        assert_eq!((dropped, outbox.take().await.len()), (20_000 - 16_384, 16_384));
        let sessions = (0..20_000_u128).map(|id| SessionId::from_bytes(id.to_be_bytes()));
        assert_eq!(outbox.put(Hint::SessionsEnded(sessions.collect())), 20_000 - 16_384);
    }
}
