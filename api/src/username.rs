//! Usernames: `[a-z][a-z0-9_.]{2,31}`, folded to lower case, so that no two look alike by case or script.

use sealpost_sabotage::{Countermeasure, without};
use std::fmt;

use crate::limits::{USERNAME_MAX_BYTES, USERNAME_MIN_BYTES};

/// Names that nobody can register, because they would be taken for the operator or for a path of the API.
const RESERVED: [&str; 24] = [
    "abuse",
    "account",
    "admin",
    "administrator",
    "all",
    "everyone",
    "help",
    "hostmaster",
    "info",
    "me",
    "moderator",
    "null",
    "official",
    "operator",
    "postmaster",
    "root",
    "sealpost",
    "security",
    "server",
    "staff",
    "support",
    "system",
    "undefined",
    "webmaster",
];

/// A valid, folded username.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

/// Why a text cannot be registered as a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// It is shorter than 3 or longer than 32 bytes.
    #[error("a username has 3 to 32 characters")]
    Length,
    /// It contains a character outside `a–z 0–9 _ .`, or does not start with a letter.
    #[error("a username starts with a letter and holds only the letters a to z, digits, '_' and '.'")]
    Character,
    /// It is reserved for the operator.
    #[error("this username is reserved")]
    Reserved,
}

impl Username {
    /// Folds ASCII capitals and checks length, characters and reserved names.
    ///
    /// # Errors
    /// [`UsernameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        if !(USERNAME_MIN_BYTES..=USERNAME_MAX_BYTES).contains(&text.len()) {
            return Err(UsernameError::Length);
        }
        let folded = text.to_ascii_lowercase();
        let mut bytes = folded.bytes();
        let starts_with_letter = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let plain = starts_with_letter
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.');
        if !plain && !without(Countermeasure::UsernameAlphabet) {
            return Err(UsernameError::Character);
        }
        if RESERVED.contains(&folded.as_str()) {
            return Err(UsernameError::Reserved);
        }
        Ok(Self(folded))
    }

    /// Returns the folded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Username({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_are_folded() {
        assert_eq!(Username::parse("Alice_1.x").unwrap().as_str(), "alice_1.x");
        assert_eq!(Username::parse("ADMIN"), Err(UsernameError::Reserved));
    }

    #[test]
    fn look_alikes_and_controls_are_refused() {
        for text in [
            "аlice",
            "ａlice",
            "ali ce",
            "ali\u{0}ce",
            "ali\u{200b}ce",
            "\u{202e}alice",
            "alice\n",
            "1alice",
            "_alice",
            ".alice",
            "ali-ce",
            "ali@ce",
            "alicé",
            "aliCE\u{301}",
        ] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(Username::parse("ab"), Err(UsernameError::Length));
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert_eq!(Username::parse(&"a".repeat(33)), Err(UsernameError::Length));
    }

    #[test]
    fn reserved_names_are_sorted_and_valid_otherwise() {
        assert!(RESERVED.is_sorted());
    }
}
