//! The messages on the operator's socket.

use sealpost_api::accounts::ErasureReport;
use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};

/// The longest question: a password of 1,024 bytes, escaped, with room to spare.
pub const REQUEST_MAX_BYTES: u64 = 16 * 1024;
/// The longest answer that the client reads: 100,000 invites have about 15 MB.
pub const REPLY_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A question or a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Makes invites.
    InvitesCreate {
        /// How many.
        count: u32,
        /// For how many days.
        days: u32,
    },
    /// Lists invites.
    InvitesList,
    /// Deletes one.
    InvitesRevoke {
        /// The beginning of its id, or the invite itself.
        invite: String,
    },
    /// Lists accounts by name.
    UsersList {
        /// Only names after this one.
        after: Option<String>,
        /// How many.
        limit: u32,
    },
    /// Shows one account.
    UsersShow {
        /// Its name.
        user: String,
    },
    /// Disables an account.
    UsersDisable {
        /// Its name.
        user: String,
    },
    /// Enables an account.
    UsersEnable {
        /// Its name.
        user: String,
    },
    /// Sets an account's password.
    UsersResetPassword {
        /// Its name.
        user: String,
        /// The new password. If it is absent, the server generates one.
        password: Option<Password>,
    },
    /// Erases an account.
    UsersDelete {
        /// Its name.
        user: String,
    },
    /// Lists an account's live logins.
    SessionsList {
        /// Its name.
        user: String,
    },
    /// Ends one login of an account, or all.
    SessionsEnd {
        /// Its name.
        user: String,
        /// The login's id in hexadecimal. If it is absent, all end.
        session: Option<String>,
    },
    /// The largest queues.
    Queues {
        /// How many.
        top: u32,
    },
    /// The keys that are left for one account's devices.
    Keys {
        /// Its name.
        user: String,
    },
    /// Asks for the state of the server.
    Status,
    /// Ends everything that a restored older state of the store would revive.
    AfterRestore,
    /// Reads the configuration file and the certificate again.
    Reload,
}

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

/// An account in a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub user: String,
    /// Its id, under which the audit log names it.
    pub account_id: String,
    /// Creation time.
    pub created_at: u64,
    /// When the account was disabled, if it is.
    pub disabled_at: Option<u64>,
    /// Devices.
    pub devices: u64,
    /// Messages waiting for them.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
}

/// One account.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserDetail {
    /// Its name.
    pub user: String,
    /// Its id, under which the audit log names it.
    pub account_id: String,
    /// Creation time.
    pub created_at: u64,
    /// When the account was disabled, if it is.
    pub disabled_at: Option<u64>,
    /// Version of the current device list.
    pub device_list_version: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Its devices.
    pub devices: Vec<Device>,
}

/// A device of one account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Device {
    /// 1–127.
    pub device: u8,
    /// When it was last connected.
    pub last_seen_at: u64,
    /// Messages waiting.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// One-time prekeys left.
    pub one_time_prekeys: u32,
}

/// An account was changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    /// Its id.
    pub account_id: String,
    /// Sessions that ended.
    pub ended_sessions: u32,
    /// Whether anything changed.
    pub changed: bool,
    /// A password that the server generated, which is shown only here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
}

/// An account was erased.
#[derive(Debug, Serialize, Deserialize)]
pub struct Erased {
    /// Its id.
    pub account_id: String,
    /// What was erased and what remains.
    pub report: ErasureReport,
}

/// A live session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The device it is on.
    pub device: u8,
    /// The time of the login.
    pub created_at: u64,
    /// The time of the last login or refresh.
    pub last_used_at: u64,
}

/// A device's queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Queue {
    /// The account's name.
    pub user: String,
    /// Which device.
    pub device: u8,
    /// Messages waiting.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was accepted.
    pub oldest_at: u64,
    /// When the device was last connected.
    pub last_seen_at: u64,
}

/// The keys that are left for a device.
#[derive(Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Which device.
    pub device: u8,
    /// One-time prekeys left.
    pub one_time_prekeys: u32,
    /// The key epoch, which each restore of a backup raises.
    pub key_epoch: u32,
    /// Id of the signed prekey.
    pub signed_prekey: Option<u32>,
    /// When it expires. From then on nobody can start a session with the device.
    pub signed_prekey_expires_at: Option<u64>,
}

/// The state of the server.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started serving.
    pub started_at: u64,
    /// The URL for clients.
    pub url: String,
    /// Who can register.
    pub registration: String,
    /// The reason why nothing can be stored now, if there is one.
    pub unavailable: Option<String>,
    /// Open streams.
    pub streams: u64,
    /// Passwords that wait to be hashed.
    pub passwords_waiting: u64,
    /// Accounts.
    pub accounts: u64,
    /// The disabled accounts.
    pub disabled_accounts: u64,
    /// Devices.
    pub devices: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Invites that can still be used.
    pub invites: u64,
    /// Messages waiting.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// When the oldest was accepted.
    pub oldest_at: Option<u64>,
    /// Devices with few one-time prekeys.
    pub one_time_low: u64,
    /// Devices without a valid signed prekey.
    pub signed_expired: u64,
}

/// What `after-restore` ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restored {
    /// Devices, each of which has another key epoch now.
    pub devices: u64,
    /// Sessions.
    pub sessions: u64,
    /// One-time prekeys; clients make new ones when they connect.
    pub one_time_prekeys: u64,
    /// Invites.
    pub invites: u64,
}

/// What was read again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reloaded {
    /// The changed settings, one line each.
    pub changed: Vec<String>,
    /// The settings of the file that differ and need a restart.
    pub needs_restart: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_with_an_unknown_field_or_act_is_refused() {
        assert!(serde_json::from_str::<Request>("{\"act\":\"status\"}").is_ok());
        for text in ["{\"act\":\"stat\"}", "{\"act\":\"queues\",\"top\":1,\"x\":1}", "{\"act\":\"queues\"}", "{}"] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
