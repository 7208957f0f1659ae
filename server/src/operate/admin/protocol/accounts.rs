//! Answers about accounts, their devices and logins.

use sealpost_api::accounts::ErasureReport;
use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};

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
