//! What a command asks of the profile's owner: this same process, or another one over the profile's socket.
//!
//! Everything that a person has to type (passwords, a yes) is asked for before a task is made, so that the owner never
//! needs the asker's terminal.

use std::time::Duration;

use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};

/// One command, complete.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub(crate) enum Task {
    /// Make an account.
    Register { name: String, password: Password, invite: Option<String> },
    /// Log in.
    Login { name: String, password: Password, new_identity: bool },
    /// End the session.
    Logout,
    /// Change the password.
    ChangePassword { old: Password, new: Password },
    /// Delete the account.
    DeleteAccount { password: Password },
    /// Fetch what the server holds.
    Export,
    /// Send a text. The token is drawn by an asker, so that it may ask again when the owner was killed, without a second
    /// message.
    Send { name: String, text: String, verified: bool, token: Option<[u8; 16]> },
    /// Print what was not printed yet.
    Receive { follow: bool, max: Option<u64> },
    /// Both sides' messages.
    History { name: String, since: Option<u64>, limit: Option<u64> },
    /// The people known.
    Contacts,
    /// A safety number.
    Verify { name: String, mark: bool, accept: bool },
    /// Account, device, keys.
    Whoami,
    /// The device list.
    Devices,
    /// Remove a device.
    RemoveDevice { id: u8 },
    /// The log-ins.
    Sessions,
    /// End one of them.
    EndSession { id: String },
    /// End them all.
    EndAllSessions,
    /// The prekeys.
    Keys { rotate: bool },
    /// Connection and outbox.
    Status,
}

/// A task and how long it may take.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What to do.
    pub(crate) task: Task,
    /// From now, in ms; `None` for as long as it takes.
    pub(crate) timeout_millis: Option<u64>,
}

impl Request {
    /// The task, to be done within this time.
    pub(crate) fn new(task: Task, timeout: Option<Duration>) -> Self {
        Self { task, timeout_millis: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)) }
    }

    /// How long it may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_millis.map(Duration::from_millis)
    }
}

/// One result, in both of its forms; whoever prints it chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// One JSON object without line breaks or hidden characters.
    pub(crate) json: String,
    /// For people, sanitised; empty when there is nothing to say.
    pub(crate) text: String,
}

impl Line {
    /// A line of this object and text.
    pub(crate) fn new(object: &impl Serialize, text: impl Into<String>) -> Self {
        // Only maps with other keys than strings fail to serialise, and there are none.
        let json = serde_json::to_string(object).unwrap_or_default();
        Self { json: crate::sanitise::escape_json(&json), text: text.into() }
    }
}
