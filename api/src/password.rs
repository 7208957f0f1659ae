//! Passwords and tokens as they cross the wire: never printed, wiped when dropped.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::limits::{PASSWORD_MAX_BYTES, PASSWORD_MIN_BYTES};

/// A password of 8 to 1,024 bytes of UTF-8, taken exactly as given: not trimmed, folded, cut or normalised.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(format = "password", min_length = 2, max_length = 1024)
)]
#[serde(transparent)]
pub struct Password(String);

/// Why a password cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 8 bytes.
    #[error("a password has at least 8 bytes")]
    TooShort,
    /// More than 1,024 bytes.
    #[error("a password has at most 1,024 bytes")]
    TooLong,
}

impl Password {
    /// Makes a password of this text. It may have any length: see [`check_length`](Self::check_length).
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text. The caller must not print or log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Checks that the length lies within the limits.
    ///
    /// # Errors
    /// [`PasswordError`] names the limit.
    pub fn check_length(&self) -> Result<(), PasswordError> {
        if self.0.len() < PASSWORD_MIN_BYTES {
            Err(PasswordError::TooShort)
        } else if self.0.len() > PASSWORD_MAX_BYTES {
            Err(PasswordError::TooLong)
        } else {
            Ok(())
        }
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// An access token: a JWT to be sent as `Authorization: Bearer`, good for ten minutes.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct AccessToken(String);

impl AccessToken {
    /// Makes a token of this text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text. The caller must not print or log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(..)")
    }
}
