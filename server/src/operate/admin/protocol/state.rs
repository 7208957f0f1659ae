//! Answers about queues, keys and the server itself.

use serde::{Deserialize, Serialize};

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
