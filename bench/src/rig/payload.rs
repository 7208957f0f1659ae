//! Messages that carry their number, and the tally of what arrived: each once and unaltered.

use bytes::{BufMut as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// The bytes of a ciphertext.
pub(crate) const LENGTH: usize = 1024;
const HASH: usize = 32;
const HEAD: usize = 24;
const FILLER: usize = LENGTH - HEAD - HASH;

/// Makes the messages of one run. Each contains the run, its number, the time it was due, and a SHA-256 of all that.
#[derive(Clone, Debug)]
pub(crate) struct Payloads {
    run: u64,
    filler: Bytes,
}

/// The content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its number in the run.
    pub(crate) number: u64,
    /// When it was due, in ns of the run; 0 if the time is not used.
    pub(crate) at: u64,
}

impl Payloads {
    /// Creates a run with incompressible bytes.
    pub(crate) fn new() -> Self {
        let filler: Vec<u8> = std::iter::repeat_with(rand::random::<u8>).take(FILLER).collect();
        Self { run: rand::random(), filler: filler.into() }
    }

    /// Makes one message.
    pub(crate) fn make(&self, label: Label) -> Bytes {
        let mut bytes = BytesMut::with_capacity(LENGTH);
        bytes.put_u64(self.run);
        bytes.put_u64(label.number);
        bytes.put_u64(label.at);
        bytes.put_slice(&self.filler);
        let hash = Sha256::digest(&bytes);
        bytes.put_slice(&hash);
        bytes.freeze()
    }

    /// Returns the content of a message of this run, or `None` if it was altered.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Label> {
        let (signed, hash) = bytes.split_last_chunk::<HASH>()?;
        if bytes.len() != LENGTH || Sha256::digest(signed).as_slice() != hash {
            return None;
        }
        let (run, rest) = signed.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (at, _) = rest.split_first_chunk::<8>()?;
        (u64::from_be_bytes(*run) == self.run)
            .then_some(Label { number: u64::from_be_bytes(*number), at: u64::from_be_bytes(*at) })
    }
}

/// The tally of one recipient: it must get the messages of a run whose number is `first` plus a multiple of `step`.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    first: u64,
    step: u64,
    seen: Vec<bool>,
    left: u64,
    tally: Tally,
}

/// The numbers of messages that did not arrive exactly once and unaltered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Never arrived.
    pub(crate) lost: u64,
    /// Arrived again.
    pub(crate) doubled: u64,
    /// Arrived with other bytes, from another sender or at another recipient.
    pub(crate) altered: u64,
}

impl Tally {
    /// Returns whether every message arrived once and unaltered.
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// Adds two tallies.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost.saturating_add(other.lost),
            doubled: self.doubled.saturating_add(other.doubled),
            altered: self.altered.saturating_add(other.altered),
        }
    }
}

impl Ledger {
    /// Of `total` messages of a run.
    pub(crate) fn new(first: u64, step: u64, total: u64) -> Self {
        let count = total.saturating_sub(first).div_ceil(step.max(1));
        let seen = vec![false; usize::try_from(count).unwrap_or(usize::MAX)];
        Self { first, step, seen, left: count, tally: Tally::default() }
    }

    /// Enters what arrived: what it says of itself, or `None` where it is not as it was made.
    pub(crate) fn enter(&mut self, label: Option<Label>) {
        let place = label.and_then(|label| {
            let distance = label.number.checked_sub(self.first)?;
            let place = usize::try_from(distance.checked_div(self.step)?).ok()?;
            (distance.checked_rem(self.step)? == 0).then_some(place)
        });
        match place.and_then(|place| self.seen.get_mut(place)) {
            None => self.tally.altered = self.tally.altered.saturating_add(1),
            Some(true) => self.tally.doubled = self.tally.doubled.saturating_add(1),
            Some(seen) => {
                *seen = true;
                self.left = self.left.saturating_sub(1);
            }
        }
    }

    /// Messages that have not arrived yet.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The account, closed: what has not arrived by now is lost.
    pub(crate) fn close(self) -> Tally {
        Tally { lost: self.left, ..self.tally }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(number: u64) -> Label {
        Label { number, at: 7 }
    }

    #[test]
    fn a_message_says_what_it_is_and_any_changed_byte_is_noticed() {
        let payloads = Payloads::new();
        let message = payloads.make(label(41));
        assert_eq!(message.len(), LENGTH);
        assert_eq!(payloads.read(&message), Some(label(41)));
        for place in 0..LENGTH {
            let mut altered = message.to_vec();
            altered[place] ^= 1;
            assert_eq!(payloads.read(&altered), None);
        }
        assert_eq!(Payloads::new().read(&message), None, "it belongs to another run");
        assert_eq!(payloads.read(&message[1..]), None);
    }

    #[test]
    fn the_account_is_clean_only_when_each_arrived_once() {
        let mut whole = Ledger::new(1, 3, 10);
        for number in [7, 1, 4] {
            whole.enter(Some(label(number)));
        }
        assert_eq!((whole.left(), whole.clone().close().is_clean()), (0, true));

        whole.enter(Some(label(4)));
        assert_eq!(whole.close(), Tally { doubled: 1, ..Tally::default() });

        let mut poor = Ledger::new(1, 3, 10);
        poor.enter(Some(label(1)));
        poor.enter(None);
        poor.enter(Some(label(2)));
        poor.enter(Some(label(10)));
        assert_eq!(poor.close(), Tally { lost: 2, doubled: 0, altered: 3 });
    }
}
