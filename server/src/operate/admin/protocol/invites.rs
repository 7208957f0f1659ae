//! Answers about invites.

use serde::{Deserialize, Serialize};

/// A new invite, which is shown only here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Issued {
    /// The code that the invited person types.
    pub invite: String,
    /// The id under which it is listed.
    pub id: String,
    /// The time from which it is no longer valid.
    pub expires_at: u64,
}

/// An invite that can still be used.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invite {
    /// The first half of its hash.
    pub id: String,
    /// When it was made; 0 if that is unknown.
    pub created_at: u64,
    /// The time from which it is no longer valid.
    pub expires_at: u64,
}

/// An invite that is gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// Its id.
    pub id: String,
}
