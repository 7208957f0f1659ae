//! Answers.

use serde::{Deserialize, Serialize};

use super::accounts::{Changed, Erased, Session, User, UserDetail};
use super::invites::{Invite, Issued, Revoked};
use super::state::{Keys, Queue, Reloaded, Restored, Status};

/// An answer. Times are ms since 1970, ids hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "items", rename_all = "snake_case")]
pub enum Reply {
    /// Invites just made.
    Issued(Vec<Issued>),
    /// Invites that can still be used.
    Invites(Vec<Invite>),
    /// An invite that is gone.
    Revoked(Revoked),
    /// Accounts.
    Users(Vec<User>),
    /// One account.
    User(Box<UserDetail>),
    /// An account was changed.
    Changed(Changed),
    /// An account was erased.
    Erased(Erased),
    /// Sessions.
    Sessions(Vec<Session>),
    /// Queues.
    Queues(Vec<Queue>),
    /// Keys of devices.
    Keys(Vec<Keys>),
    /// The state of the server.
    Status(Box<Status>),
    /// The result of `after-restore`.
    Restored(Restored),
    /// What was read again.
    Reloaded(Reloaded),
}

/// Why there is no answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// A short name for scripts.
    pub error: String,
    /// What is wrong and what to do, for the operator.
    pub message: String,
}
