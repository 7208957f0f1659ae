//! What comes of hashing or comparing a password.

/// Why a password was neither hashed nor compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordsError {
    /// The queue is full; try again soon.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The pool is gone.
    #[error("the pool that hashes passwords has stopped")]
    Stopped,
    /// The stored text is not a hash, or the parameters are impossible.
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

/// The result of comparing a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong, or there is no account.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but its hash has outdated parameters and should be replaced.
    RightButOutdated,
}
