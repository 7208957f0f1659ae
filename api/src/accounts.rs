//! Accounts: create, look up, new identity, password, export, delete.

use sealpost_crypto::{AccountId, AccountIdentityKey, RegistrationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{B64, EncodedDeviceList};
use crate::password::Password;
use crate::prekeys::DevicePrekeys;
use crate::sessions::{SessionInfo, SessionRequest};

/// `POST /v1/accounts`: create an account with its first device. Account id and identity key are those of the list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// `[a-z][a-z0-9_.]{2,31}` after folding capitals.
    pub username: String,
    /// 8 to 1,024 bytes.
    pub password: Password,
    /// Needed where registration is by invite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// Version 1, signed by the account identity key, with exactly one device.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
    /// That device's keys.
    pub device: DevicePrekeys,
    /// Its first session.
    pub session: SessionRequest,
}

/// `POST /v1/identity/current`: what a machine without the account's identity key needs to make a new one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrentIdentityRequest {
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: Password,
}

/// The account's id and newest device list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrentIdentity {
    /// The account.
    #[schema(value_type = String, format = "base64url")]
    pub account_id: B64<AccountId>,
    /// Its newest list, to which the new one is chained.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
}

/// `POST /v1/identity`: go on under a new account identity key. Ends every device and session before it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentityRequest {
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: Password,
    /// Version + 1, chained, marked as a new identity, with exactly one device.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
    /// That device's keys.
    pub device: DevicePrekeys,
    /// Its first session.
    pub session: SessionRequest,
}

/// `GET /v1/accounts/by-name/{username}`: what a contact pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountInfo {
    /// The folded name.
    pub username: String,
    /// The account's id.
    #[schema(value_type = String, format = "base64url")]
    pub account_id: B64<AccountId>,
    /// Its identity key, that of the list.
    #[schema(value_type = String, format = "base64url")]
    pub account_identity_key: B64<AccountIdentityKey>,
    /// Its current signed device list.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
}

/// `PUT /v1/account/password`. Ends all other sessions and every access token issued before.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    /// The password until now.
    pub old_password: Password,
    /// The password from now on.
    pub new_password: Password,
}

/// `POST /v1/account/delete`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteAccountRequest {
    /// The account's password, asked for again.
    pub password: Password,
}

/// What deleting the account erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureReport {
    /// Devices.
    pub devices: u64,
    /// Sessions.
    pub sessions: u64,
    /// Signed device lists.
    pub device_lists: u64,
    /// Signed prekeys.
    pub signed_prekeys: u64,
    /// One-time prekeys.
    pub one_time_prekeys: u64,
    /// Messages that waited for the account; their senders are told.
    pub queued_messages: u64,
    /// What remains, in plain words: a keyed hash of the name, and copies already accepted for others.
    pub remains: Vec<String>,
}

/// One device in [`AccountExport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceExport {
    /// 1–127.
    pub device_id: u8,
    /// The device's registration.
    #[schema(value_type = String, format = "base64url")]
    pub registration_id: B64<RegistrationId>,
    /// When it was last connected, ms since 1970.
    pub last_seen_at: u64,
    /// One-time prekeys left.
    pub one_time_prekeys: u64,
    /// The signed prekey's id; 0 when there is none.
    pub signed_prekey_id: u32,
    /// Messages that wait for it.
    pub queued_messages: u64,
    /// Their ciphertexts' bytes.
    pub queued_bytes: u64,
    /// The highest number accepted from it.
    pub highest_number: u64,
}

/// `GET /v1/account/export`: all that the server holds of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountExport {
    /// The account.
    #[schema(value_type = String, format = "base64url")]
    pub account_id: B64<AccountId>,
    /// Its name.
    pub username: String,
    /// ms since 1970.
    pub created_at: u64,
    /// Every device list published, oldest first, at most the newest 64.
    #[schema(value_type = Vec<String>)]
    pub device_lists: Vec<B64<EncodedDeviceList>>,
    /// The devices.
    pub devices: Vec<DeviceExport>,
    /// The live sessions.
    pub sessions: Vec<SessionInfo>,
}
