//! The tally of arrived messages: how often, for whom, and whether unaltered.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::rig::payload::{LENGTH, Tally};

/// Hexadecimal digits of a message's number, which it begins with.
const NUMBER_LEN: usize = 16;
/// How long nothing must arrive before the remaining messages count as lost.
const SILENCE: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Counts each message of a run by its number. Message `n` is for receiver `n % receivers`.
pub(crate) struct Arrivals {
    seen: Vec<AtomicU8>,
    receivers: usize,
    filler: Vec<u8>,
    came: AtomicUsize,
    doubled: AtomicU64,
    altered: AtomicU64,
    all: Notify,
}

impl Arrivals {
    /// Of `messages` to `receivers` in turn.
    pub(crate) fn new(messages: usize, receivers: usize) -> Self {
        Self {
            seen: std::iter::repeat_with(AtomicU8::default).take(messages).collect(),
            receivers,
            filler: filler(),
            came: AtomicUsize::new(0),
            doubled: AtomicU64::new(0),
            altered: AtomicU64::new(0),
            all: Notify::new(),
        }
    }

    /// Returns the body of message `number`. It is printable, so that XMPP can carry it unchanged.
    pub(crate) fn body(&self, number: usize) -> Vec<u8> {
        let mut body = format!("{number:0NUMBER_LEN$x}").into_bytes();
        body.extend_from_slice(&self.filler);
        body
    }

    /// Returns the receiver of message `number`.
    pub(crate) fn receiver(&self, number: usize) -> usize {
        number % self.receivers
    }

    /// Counts a message that arrived for `receiver`. Returns its number if it belongs to this run and receiver.
    pub(crate) fn count(&self, receiver: usize, body: &[u8]) -> Option<usize> {
        let number = body
            .split_at_checked(NUMBER_LEN)
            .filter(|(_, filler)| *filler == self.filler)
            .and_then(|(number, _)| usize::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok())
            .filter(|number| self.receiver(*number) == receiver);
        let Some((number, seen)) = number.and_then(|number| Some((number, self.seen.get(number)?))) else {
            self.altered.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if seen.fetch_add(1, Ordering::Relaxed) > 0 {
            self.doubled.fetch_add(1, Ordering::Relaxed);
        } else if self.came.fetch_add(1, Ordering::Relaxed) + 1 == self.seen.len() {
            self.all.notify_one();
        }
        Some(number)
    }

    /// Waits until every message has arrived, or nothing arrives for long. Returns the time of the last arrival.
    pub(crate) async fn settled(&self) -> Instant {
        let mut last = (self.came.load(Ordering::Relaxed), Instant::now());
        while last.0 < self.seen.len() && last.1.elapsed() < SILENCE {
            if timeout(LOOK, self.all.notified()).await.is_ok() {
                return Instant::now();
            }
            let came = self.came.load(Ordering::Relaxed);
            if came != last.0 {
                last = (came, Instant::now());
            }
        }
        last.1
    }

    /// Returns what is wrong so far. A message for somebody else counts as altered.
    pub(crate) fn tally(&self) -> Tally {
        let lost = self.seen.len() - self.came.load(Ordering::Relaxed);
        Tally {
            lost: u64::try_from(lost).unwrap_or(u64::MAX),
            doubled: self.doubled.load(Ordering::Relaxed),
            altered: self.altered.load(Ordering::Relaxed),
        }
    }
}

/// Returns the rest of every body: letters in an order in which a shift or a cut is noticed.
fn filler() -> Vec<u8> {
    let letters = (NUMBER_LEN..LENGTH).scan(0x2545_f491_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(b'a' + u8::try_from((*state >> 24) % 26).unwrap_or_default())
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_once_is_clean() {
        let arrivals = Arrivals::new(4, 2);
        for number in 0..4 {
            assert_eq!(arrivals.body(number).len(), LENGTH);
            assert_eq!(arrivals.count(number % 2, &arrivals.body(number)), Some(number));
        }
        assert!(arrivals.tally().is_clean());
    }

    #[test]
    fn a_message_lost_doubled_altered_or_astray_is_counted_as_such() {
        let arrivals = Arrivals::new(4, 2);
        arrivals.count(0, &arrivals.body(0));
        arrivals.count(0, &arrivals.body(0));
        arrivals.count(1, &arrivals.body(1));
        let mut altered = arrivals.body(2);
        altered[LENGTH - 1] ^= 1;
        arrivals.count(0, &altered);
        arrivals.count(0, &arrivals.body(3));
        arrivals.count(1, &arrivals.body(3)[..LENGTH - 1]);
        arrivals.count(1, &arrivals.body(5));
        assert_eq!(arrivals.tally(), Tally { lost: 2, doubled: 1, altered: 4 });
    }
}
