//! What crosses the operator's socket.

use sealpost_api::accounts::ErasureReport;
use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};

/// The longest question: a password of 1,024 bytes, escaped, with room to spare.
pub const REQUEST_MAX_BYTES: u64 = 16 * 1024;
/// The longest answer that the client reads: 100,000 invites have about 15 MB.
pub const REPLY_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A question or an order.
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
    /// Forbids its owner to log in.
    UsersDisable {
        /// Its name.
        user: String,
    },
    /// Allows it again.
    UsersEnable {
        /// Its name.
        user: String,
    },
    /// Sets its password.
    UsersResetPassword {
        /// Its name.
        user: String,
        /// The new one; absent: the server makes one.
        password: Option<Password>,
    },
    /// Erases it.
    UsersDelete {
        /// Its name.
        user: String,
    },
    /// Lists its live sessions.
    SessionsList {
        /// Its name.
        user: String,
    },
    /// Ends one of its sessions, or all.
    SessionsEnd {
        /// Its name.
        user: String,
        /// Which one, in hexadecimal; absent: all.
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
    /// How the server is.
    Status,
    /// Ends what must not come to life again, once an older state of the store was put back.
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
    /// How the server is.
    Status(Box<Status>),
    /// What a restore ended.
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

/// An invite just made; it is shown only here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Issued {
    /// What the invited person types.
    pub invite: String,
    /// The id under which it is listed.
    pub id: String,
    /// From then on it is not taken any more.
    pub expires_at: u64,
}

/// An invite that can still be used.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invite {
    /// The first half of its hash.
    pub id: String,
    /// When it was made; 0 when that was not noted.
    pub created_at: u64,
    /// From then on it is not taken any more.
    pub expires_at: u64,
}

/// An invite that is gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// Its id.
    pub id: String,
}

/// A line of the list of accounts.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub user: String,
    /// Its id, under which the audit log names it.
    pub account_id: String,
    /// Creation time.
    pub created_at: u64,
    /// Since when log-in is forbidden.
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
    /// Since when log-in is forbidden.
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
    /// Whether anything is different now.
    pub changed: bool,
    /// A password that the server made; it is shown only here.
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
    /// Beginning.
    pub created_at: u64,
    /// Last log-in or refresh.
    pub last_used_at: u64,
}

/// A device's queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Queue {
    /// Whose.
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
    /// Raised by each restore of a backup.
    pub key_epoch: u32,
    /// Id of the signed prekey.
    pub signed_prekey: Option<u32>,
    /// When it expires; nobody can begin a session with the device then.
    pub signed_prekey_expires_at: Option<u64>,
}

/// How the server is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it began to serve.
    pub started_at: u64,
    /// Where clients connect.
    pub url: String,
    /// Who may register.
    pub registration: String,
    /// Why nothing can be stored now, if so.
    pub unavailable: Option<String>,
    /// Open streams.
    pub streams: u64,
    /// Passwords that wait to be hashed.
    pub passwords_waiting: u64,
    /// Accounts.
    pub accounts: u64,
    /// Those that may not log in.
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

/// What a restore ended.
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
    /// What is in force now, one line each.
    pub changed: Vec<String>,
    /// Settings of the file that differ and need a restart.
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
