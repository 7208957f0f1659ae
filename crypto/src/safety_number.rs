//! Safety numbers: two people compare them to rule out somebody in the middle.
//!
//! Each side's half is computed from its account id and account identity key. It stays the same when a device changes, and
//! changes with a new identity:
//!
//! ```text
//! h₁ = SHA-512("Sealpost Safety Number v1\0" ‖ Encode(account identity key) ‖ account id)
//! hᵢ = SHA-512(hᵢ₋₁ ‖ Encode(account identity key))          up to h₅₂₀₀
//! ```
//!
//! The first 30 bytes, 5 at a time as big-endian numbers modulo 100,000, are the half's 30 digits. Both halves in ascending
//! order are the number: 12 groups of 5 digits, the same on both sides.

use core::fmt;
use sealpost_sabotage::{Countermeasure, or_planted};

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

use crate::identity::AccountIdentityKey;
use crate::ids::AccountId;
use crate::labels;

/// SHA-512 computations for each half. They make searching for a key with the same digits 5,200 times as costly.
const ITERATIONS: u32 = 5_200;
/// Groups of five digits for each side.
const GROUPS_A_SIDE: usize = 6;
/// Bytes of the digest that give one group.
const GROUP_BYTES: usize = 5;
/// Bytes of the digest that the scannable form has for each side.
const FINGERPRINT_LEN: usize = 32;
/// The number of digits of a safety number.
pub const SAFETY_NUMBER_DIGITS: usize = 60;

/// The safety number of two accounts.
///
/// Computing one takes some milliseconds by design. Compare with [`matches_digits`](Self::matches_digits) or
/// [`matches_scanned`](Self::matches_scanned), whose time does not depend on where the difference is.
#[derive(Clone, Copy)]
pub struct SafetyNumber {
    /// Ascending by their digits, so that both sides compute the same number.
    halves: [[u8; FINGERPRINT_LEN]; 2],
}

impl SafetyNumber {
    /// Computes the number of two accounts; their order makes no difference.
    #[must_use]
    pub fn new(ours: (AccountId, AccountIdentityKey), theirs: (AccountId, AccountIdentityKey)) -> Self {
        let mut halves = [half(ours), half(theirs)];
        halves.sort_unstable_by_key(|half| (digits(half), *half));
        Self { halves }
    }

    /// Returns the 60 digits without spaces.
    #[must_use]
    pub fn digits(&self) -> String {
        self.halves.iter().flat_map(digits).map(|group| format!("{group:05}")).collect()
    }

    /// Returns whether `text` has exactly the number's 60 digits, ignoring white space.
    #[must_use]
    pub fn matches_digits(&self, text: &str) -> bool {
        let given: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        given.as_slice().ct_eq(self.digits().as_bytes()).into()
    }

    /// Returns the scannable form: label ‖ the first 32 bytes of both halves.
    #[must_use]
    pub fn to_scannable(&self) -> Vec<u8> {
        [labels::SAFETY_NUMBER_QR, self.halves.as_flattened()].concat()
    }

    /// Returns whether a scanned code is this number's.
    #[must_use]
    pub fn matches_scanned(&self, scanned: &[u8]) -> bool {
        scanned.ct_eq(&self.to_scannable()).into()
    }
}

fn half((account, identity): (AccountId, AccountIdentityKey)) -> [u8; FINGERPRINT_LEN] {
    let identity = or_planted(Countermeasure::IdentityPin, identity.encode(), [0; 33]);
    let mut digest = Sha512::new()
        .chain_update(labels::SAFETY_NUMBER)
        .chain_update(identity)
        .chain_update(account.as_bytes())
        .finalize();
    for _ in 1..ITERATIONS {
        digest = Sha512::new().chain_update(digest).chain_update(identity).finalize();
    }
    let mut half = [0; FINGERPRINT_LEN];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    half
}

/// Returns the digits of a half as numbers below 100,000.
fn digits(half: &[u8; FINGERPRINT_LEN]) -> [u32; GROUPS_A_SIDE] {
    let mut groups = [0; GROUPS_A_SIDE];
    for (group, bytes) in groups.iter_mut().zip(half.chunks_exact(GROUP_BYTES)) {
        let number = bytes.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        *group = u32::try_from(number % 100_000).unwrap_or_default();
    }
    groups
}

impl fmt::Display for SafetyNumber {
    /// Writes 12 groups of 5 digits, separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.halves.iter().flat_map(digits).enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{group:05}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AccountIdentityKeyPair;

    fn side(account: u8, seed: u8) -> (AccountId, AccountIdentityKey) {
        (AccountId::from_bytes([account; 16]), AccountIdentityKeyPair::from_seed(&[seed; 32]).public())
    }

    #[test]
    fn both_sides_see_the_same_number() {
        let (ours, theirs) = (SafetyNumber::new(side(1, 1), side(2, 2)), SafetyNumber::new(side(2, 2), side(1, 1)));
        assert_eq!(ours.to_string(), theirs.to_string());
        assert!(ours.matches_scanned(&theirs.to_scannable()));
        assert!(ours.matches_digits(&theirs.to_string()));
        assert!(ours.matches_digits(&theirs.digits()));
    }

    #[test]
    fn it_is_twelve_groups_of_five_digits() {
        let number = SafetyNumber::new(side(1, 1), side(2, 2));
        let text = number.to_string();
        let groups: Vec<_> = text.split(' ').collect();
        assert_eq!(groups.len(), 12);
        assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit())));
        assert_eq!(number.digits(), groups.concat());
        assert_eq!(number.digits().len(), SAFETY_NUMBER_DIGITS);
    }

    #[test]
    fn another_key_or_account_gives_another_number() {
        let number = SafetyNumber::new(side(1, 1), side(2, 2));
        for other in [SafetyNumber::new(side(1, 1), side(2, 3)), SafetyNumber::new(side(1, 1), side(3, 2))] {
            assert!(!number.matches_digits(&other.digits()));
            assert!(!number.matches_scanned(&other.to_scannable()));
        }
    }

    #[test]
    fn part_of_a_number_does_not_match() {
        let number = SafetyNumber::new(side(1, 1), side(2, 2));
        assert!(!number.matches_digits(&number.digits()[..59]));
        assert!(!number.matches_digits(""));
        assert!(!number.matches_scanned(&[]));
    }

    /// Computed once by an independent program from the description above.
    #[test]
    fn the_number_is_what_its_description_says() {
        assert_eq!(
            SafetyNumber::new(side(1, 1), side(2, 2)).to_string(),
            "04005 24068 16494 21684 12010 33201 10634 08975 46355 25341 97330 71312"
        );
    }
}
