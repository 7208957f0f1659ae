//! The refresh tokens of a session: each is used once, and using a spent one ends the session.

use sealpost_api::ids::RefreshTokenHash;

use super::constant_time::same;

/// The generation that a session begins with.
pub const FIRST_GENERATION: u32 = 1;

/// The hashes of a session's refresh tokens, as they are stored.
#[derive(Clone, Copy)]
pub struct Tokens<'a> {
    /// The current one.
    pub current: &'a [u8],
    /// The one before; `None` until the first exchange.
    pub previous: Option<&'a [u8]>,
}

/// What a request to exchange a token comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The token is current; the next one takes its place.
    Rotate,
    /// The same exchange was made before, and its successor is still current: the reply was lost, however long ago.
    Repeat,
    /// The token was used before. Two parties hold tokens of this session, and one of them is not its owner.
    Spent,
}

impl Tokens<'_> {
    /// Decides on a request to exchange `old` for `next`.
    #[must_use]
    pub fn exchange(&self, old: &RefreshTokenHash, next: &RefreshTokenHash) -> Exchange {
        if same(self.current, old.as_bytes()) {
            Exchange::Rotate
        } else if same(self.current, next.as_bytes())
            && self.previous.is_some_and(|previous| same(previous, old.as_bytes()))
        {
            Exchange::Repeat
        } else {
            Exchange::Spent
        }
    }

    /// Returns whether `first` is the token that the session began with, and no exchange has been made since.
    #[must_use]
    pub fn are_at_first(&self, first: &RefreshTokenHash) -> bool {
        self.previous.is_none() && same(self.current, first.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> RefreshTokenHash {
        RefreshTokenHash::from_bytes([byte; 32])
    }

    #[test]
    fn a_token_is_exchanged_once_and_the_same_exchange_repeated_only_while_its_successor_is_current() {
        let first = Tokens { current: &[1; 32], previous: None };
        assert_eq!(first.exchange(&hash(1), &hash(2)), Exchange::Rotate);
        assert!(first.are_at_first(&hash(1)) && !first.are_at_first(&hash(2)));
        let second = Tokens { current: &[2; 32], previous: Some(&[1; 32]) };
        assert_eq!(second.exchange(&hash(1), &hash(2)), Exchange::Repeat);
        assert_eq!(second.exchange(&hash(1), &hash(3)), Exchange::Spent);
        assert!(!second.are_at_first(&hash(2)));
        let third = Tokens { current: &[3; 32], previous: Some(&[2; 32]) };
        assert_eq!(third.exchange(&hash(1), &hash(2)), Exchange::Spent);
    }
}
