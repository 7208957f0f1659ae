//! The window of message numbers accepted from one sender device, which makes every retry safe.
//!
//! Like IPsec's anti-replay window (RFC 4303 §3.4.3) it keeps the highest number and one bit for each of the last
//! [`NUMBER_WINDOW`], so that the state of a sender does not grow with its traffic.

use sealpost_api::ids::MessageNumber;
use sealpost_api::limits::NUMBER_WINDOW;

/// The number of words of the bitmap.
const WORDS: usize = 16;

const _: () = assert!(WORDS as u64 * 64 == NUMBER_WINDOW, "the bitmap holds exactly the window");

/// What the window knows about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberState {
    /// It was not accepted yet.
    New,
    /// It was accepted before.
    Accepted,
    /// It lies below the window, so it is no longer known whether it was accepted. Zero, which is not a number, counts
    /// as below.
    TooOld,
}

/// The highest accepted number and which of the last 1,024 were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NumberWindow {
    highest: u64,
    /// A ring: the bit of number `n` has the index `n mod 1024`.
    bits: [u64; WORDS],
}

impl NumberWindow {
    /// Length of [`to_bitmap`](Self::to_bitmap) in bytes.
    pub const BITMAP_BYTES: usize = WORDS * 8;

    /// Restores a window from its stored parts.
    #[must_use]
    pub fn from_parts(highest: MessageNumber, bitmap: &[u8; Self::BITMAP_BYTES]) -> Self {
        let mut bits = [0; WORDS];
        for (word, bytes) in bits.iter_mut().zip(bitmap.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Self { highest: highest.0, bits }
    }

    /// Returns the ring's words, big-endian, 128 bytes.
    #[must_use]
    pub fn to_bitmap(&self) -> [u8; Self::BITMAP_BYTES] {
        let mut bitmap = [0; Self::BITMAP_BYTES];
        for (bytes, word) in bitmap.as_chunks_mut::<8>().0.iter_mut().zip(self.bits) {
            *bytes = word.to_be_bytes();
        }
        bitmap
    }

    /// Returns the highest accepted number, or 0 if there is none.
    #[must_use]
    pub const fn highest(&self) -> MessageNumber {
        MessageNumber(self.highest)
    }

    /// Returns whether `number` can be accepted.
    #[must_use]
    pub fn state(&self, number: MessageNumber) -> NumberState {
        let number = number.0;
        if number == 0 {
            NumberState::TooOld
        } else if number > self.highest {
            NumberState::New
        } else if self.highest.saturating_sub(number) >= NUMBER_WINDOW {
            NumberState::TooOld
        } else if self.bit(number) {
            NumberState::Accepted
        } else {
            NumberState::New
        }
    }

    /// Records that `number` was accepted. A number that is not [`NumberState::New`] changes nothing.
    pub fn record(&mut self, number: MessageNumber) {
        if self.state(number) != NumberState::New {
            return;
        }
        let number = number.0;
        if number > self.highest {
            if number.saturating_sub(self.highest) >= NUMBER_WINDOW {
                self.bits = [0; WORDS];
            } else {
                // The ring's places of the numbers between were those of numbers that leave the window.
                for passed in self.highest.saturating_add(1)..number {
                    self.set(passed, false);
                }
            }
            self.highest = number;
        }
        self.set(number, true);
    }

    fn bit(&self, number: u64) -> bool {
        let (word, mask) = place(number);
        self.bits.get(word).is_some_and(|bits| bits & mask != 0)
    }

    fn set(&mut self, number: u64, value: bool) {
        let (word, mask) = place(number);
        if let Some(bits) = self.bits.get_mut(word) {
            if value {
                *bits |= mask;
            } else {
                *bits &= !mask;
            }
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let bit = number % NUMBER_WINDOW;
    (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The window as it is defined: it keeps every accepted number.
    #[derive(Default)]
    struct Model(BTreeSet<u64>);

    impl Model {
        fn state(&self, number: u64) -> NumberState {
            let highest = self.0.last().copied().unwrap_or(0);
            if number == 0 || highest.saturating_sub(number) >= NUMBER_WINDOW {
                NumberState::TooOld
            } else if self.0.contains(&number) {
                NumberState::Accepted
            } else {
                NumberState::New
            }
        }
    }

    fn a_number() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0..3_000_u64, 2 => 10_000..14_000_u64, 1 => u64::MAX - 2_000..=u64::MAX]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_window_answers_as_a_set_of_all_numbers_would(numbers in proptest::collection::vec(a_number(), 1..400)) {
            let (mut window, mut model) = (NumberWindow::default(), Model::default());
            for number in numbers {
                prop_assert_eq!(window.state(MessageNumber(number)), model.state(number));
                if model.state(number) == NumberState::New {
                    model.0.insert(number);
                }
                window.record(MessageNumber(number));
                prop_assert_eq!(window.highest().0, model.0.last().copied().unwrap_or(0));
                let stored = NumberWindow::from_parts(window.highest(), &window.to_bitmap());
                prop_assert_eq!(&stored, &window);
            }
            for number in 0..3_000 {
                prop_assert_eq!(window.state(MessageNumber(number)), model.state(number));
            }
        }
    }

    #[test]
    fn numbers_may_come_in_any_order_within_the_window() {
        let mut window = NumberWindow::default();
        for number in (1..=NUMBER_WINDOW).rev() {
            assert_eq!(window.state(MessageNumber(number)), NumberState::New, "{number}");
            window.record(MessageNumber(number));
            assert_eq!(window.state(MessageNumber(number)), NumberState::Accepted, "{number}");
        }
    }

    #[test]
    fn the_highest_number_there_is_can_be_accepted() {
        let mut window = NumberWindow::default();
        window.record(MessageNumber(u64::MAX));
        assert_eq!(window.state(MessageNumber(u64::MAX)), NumberState::Accepted);
        assert_eq!(window.state(MessageNumber(1)), NumberState::TooOld);
    }

    #[test]
    fn recording_a_number_below_the_window_changes_nothing() {
        let mut window = NumberWindow::default();
        window.record(MessageNumber(5_000));
        let before = window.clone();
        window.record(MessageNumber(1));
        window.record(MessageNumber(0));
        assert_eq!(window, before);
    }
}
