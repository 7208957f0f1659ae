//! Records as they move from one store to another.

use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, SignedPrekey, UnixMillis};

/// An account with everything of its own except the messages that wait.
#[derive(Clone)]
pub struct MovedAccount {
    /// The account.
    pub id: AccountId,
    /// Its folded name.
    pub username: Username,
    /// The keyed hash of the name, if the source keeps it.
    pub name_hash: Option<[u8; 32]>,
    /// Password hash, as a PHC string.
    pub password_hash: String,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was disabled; `None` while its owner may log in.
    pub disabled_at: Option<UnixMillis>,
    /// Every device list as it was signed, with its version, the current one last.
    pub lists: Vec<(u64, Vec<u8>)>,
    /// Hash of the current list.
    pub list_hash: [u8; 32],
    /// The devices of the current list, by id.
    pub devices: Vec<MovedDevice>,
    /// Its sessions, live and ended, by id.
    pub sessions: Vec<MovedSession>,
}

/// A device of a current list.
#[derive(Clone)]
pub struct MovedDevice {
    /// The device.
    pub address: DeviceAddress,
    /// Its identity key.
    pub identity: DeviceIdentityKey,
    /// When it was last connected.
    pub last_seen_at: UnixMillis,
    /// Its key epoch, which the move raises once.
    pub key_epoch: u32,
    /// Highest one-time prekey id that was ever uploaded.
    pub max_issued_id: u32,
    /// The epoch of its newest connection.
    pub connection_epoch: u64,
    /// Highest message number that was accepted from it.
    pub highest_number: u64,
    /// Which of the last 1,024 numbers were accepted.
    pub window: [u8; 128],
    /// The signed prekey, if there is one.
    pub signed_prekey: Option<SignedPrekey>,
    /// How many one-time prekeys stay behind.
    pub one_time_prekeys: u64,
    /// Its notices, oldest first.
    pub notices: Vec<MovedNotice>,
}

/// A session.
#[derive(Clone)]
pub struct MovedSession {
    /// The session.
    pub id: SessionId,
    /// The device that it is on.
    pub address: DeviceAddress,
    /// Hash of the current refresh token.
    pub refresh_hash: RefreshTokenHash,
    /// Hash of the one before.
    pub previous_hash: Option<RefreshTokenHash>,
    /// The generation. An access token is valid only with the same one.
    pub generation: u32,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was last started or refreshed.
    pub last_used_at: UnixMillis,
    /// Whether it has ended.
    pub ended: bool,
}

/// A notice, with the codes that both back ends store for kinds and reasons.
#[derive(Clone)]
pub struct MovedNotice {
    /// 1: own messages that will not be delivered; 2: messages of another device that were not kept.
    pub kind: u8,
    /// The code of the reason.
    pub reason: u8,
    /// The other device.
    pub peer: DeviceAddress,
    /// How many messages it is about.
    pub count: u64,
    /// Their numbers, ascending, for kind 1.
    pub numbers: Vec<u64>,
    /// When it was last changed.
    pub created_at: UnixMillis,
    /// Whether it was read for delivery.
    pub sealed: bool,
}

/// A message that waits.
#[derive(Clone)]
pub struct MovedMessage {
    /// Its position in the queue; only for asking for what comes after.
    pub position: u64,
    /// The sender device.
    pub from: DeviceAddress,
    /// The sender's number.
    pub number: u64,
    /// When it was accepted.
    pub accepted_at: UnixMillis,
    /// The ciphertext as it came.
    pub ciphertext: Vec<u8>,
}
