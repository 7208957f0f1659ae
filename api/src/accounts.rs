//! Accounts: registration, look-up, a new identity, the password, export and deletion.

use sealpost_crypto::{AccountId, AccountIdentityKey, RegistrationId};
use serde::{Deserialize, Serialize};

use crate::encoding::{B64, EncodedDeviceList};
use crate::endpoint::{NoBody, RequestBody, ResponseBody, endpoints};
use crate::password::Password;
use crate::prekeys::DevicePrekeys;
use crate::sessions::{SessionGrant, SessionInfo, SessionRequest, SessionsEnded};

endpoints! {
    /// Creates an account with its first device, and logs that device in. Repeating the same request returns the first answer.
    Register {} = Post "/v1/accounts", Anyone, "accounts",
        RegisterRequest => SessionGrant, "The first session of the new account.",
        [RegistrationClosed, InviteInvalid, UsernameInvalid, UsernameReserved, UsernameTaken, PasswordTooShort,
         PasswordTooLong, PasswordCommon, DeviceListInvalid, SignedPrekeyInvalid, SignedPrekeyExpired,
         OneTimePrekeysInvalid, SignatureInvalid, AccountTaken, SessionConflict];

    /// Finds the account of a username, and returns what a contact pins.
    LookUpAccount {
        /// The username, in capitals or not.
        path username: String,
    } = Get "/v1/accounts/by-name/{username}", Session, "accounts",
        NoBody => AccountInfo, "The account that has this name.",
        [NotFound];

    /// Returns what a device without the account identity key needs to start a new identity.
    ReadCurrentIdentity {} = Post "/v1/identity/current", Anyone, "accounts",
        CurrentIdentityRequest => CurrentIdentity, "The account and its current device list.",
        [LoginFailed];

    /// Continues the account under a new account identity key. Ends every earlier device and session. Repeating the same
    /// request returns the first answer.
    ReplaceIdentity {} = Post "/v1/identity", Anyone, "accounts",
        NewIdentityRequest => SessionGrant, "The first session under the new identity.",
        [LoginFailed, DeviceListInvalid, DeviceListConflict, SignedPrekeyInvalid, SignedPrekeyExpired,
         OneTimePrekeysInvalid, SignatureInvalid, SessionConflict, SessionEnded];

    /// Changes the password. Ends all other sessions and every access token issued before, including the caller's, which has
    /// to be refreshed. Repeating the same request succeeds and changes nothing.
    ChangePassword {} = Put "/v1/account/password", Session, "accounts",
        ChangePasswordRequest => SessionsEnded, "How many other sessions the change ended.",
        [PasswordWrong, PasswordTooShort, PasswordTooLong, PasswordCommon];

    /// Erases the account.
    DeleteAccount {} = Post "/v1/account/delete", Session, "accounts",
        DeleteAccountRequest => ErasureReport, "What was erased, and what remains.",
        [PasswordWrong];

    /// Returns everything that the server holds about the account.
    ExportAccount {} = Get "/v1/account/export", Session, "accounts",
        NoBody => AccountExport, "Everything that the server holds about the account.",
        [];
}

impl RequestBody for RegisterRequest {}
impl RequestBody for CurrentIdentityRequest {}
impl RequestBody for NewIdentityRequest {}
impl RequestBody for ChangePasswordRequest {}
impl RequestBody for DeleteAccountRequest {}
impl ResponseBody for AccountInfo {}
impl ResponseBody for CurrentIdentity {}
impl ResponseBody for ErasureReport {}
impl ResponseBody for AccountExport {}

/// A new account with its first device. The account id and the account identity key are those in the device list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// The username. Capitals are folded to lower case.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[A-Za-z][A-Za-z0-9_.]{2,31}$", min_length = 3, max_length = 32)
    )]
    pub username: String,
    /// The password, of 8 to 1,024 bytes.
    pub password: Password,
    /// The invite, which is required where registration is by invite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// The first device list: version 1, signed by the account identity key, with exactly one device.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
    /// The prekeys of that device.
    pub device: DevicePrekeys,
    /// The device's first session.
    pub session: SessionRequest,
}

/// The name and password of an account whose identity key is lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CurrentIdentityRequest {
    /// The account's username.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[A-Za-z][A-Za-z0-9_.]{2,31}$", min_length = 3, max_length = 32)
    )]
    pub username: String,
    /// The account's password.
    pub password: Password,
}

/// An account's id and its newest device list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CurrentIdentity {
    /// The account's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AccountId))]
    pub account_id: B64<AccountId>,
    /// The newest device list. The next one is chained to it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
}

/// A device list under a new account identity key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewIdentityRequest {
    /// The account's username.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[A-Za-z][A-Za-z0-9_.]{2,31}$", min_length = 3, max_length = 32)
    )]
    pub username: String,
    /// The account's password.
    pub password: Password,
    /// The next device list: version + 1, chained to the current one, marked as a new identity, with exactly one device.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
    /// The prekeys of that device.
    pub device: DevicePrekeys,
    /// The device's first session.
    pub session: SessionRequest,
}

/// What a contact pins of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountInfo {
    /// The username in lower case.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9_.]{2,31}$", min_length = 3, max_length = 32))]
    pub username: String,
    /// The account's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AccountId))]
    pub account_id: B64<AccountId>,
    /// The account identity key, which is also in the device list.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AccountIdentityKey))]
    pub account_identity_key: B64<AccountIdentityKey>,
    /// The current signed device list.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
}

/// The old and the new password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    /// The password that is valid now.
    pub old_password: Password,
    /// The password to set.
    pub new_password: Password,
}

/// The password that confirms the deletion.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeleteAccountRequest {
    /// The account's password, required again so that a stolen access token cannot delete the account.
    pub password: Password,
}

/// How many things the deletion erased, and what remains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ErasureReport {
    /// Devices erased.
    pub devices: u64,
    /// Sessions erased.
    pub sessions: u64,
    /// Signed device lists erased.
    pub device_lists: u64,
    /// Signed prekeys erased.
    pub signed_prekeys: u64,
    /// One-time prekeys erased.
    pub one_time_prekeys: u64,
    /// Queued messages for the account that were erased. Their senders are told.
    pub queued_messages: u64,
    /// What remains, in plain words: a keyed hash of the name, and messages already accepted for other accounts.
    pub remains: Vec<String>,
}

/// A device of the exported account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceExport {
    /// The device id.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 127))]
    pub device_id: u8,
    /// The device's registration id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RegistrationId))]
    pub registration_id: B64<RegistrationId>,
    /// When the device was last connected, in ms since 1970.
    pub last_seen_at: u64,
    /// One-time prekeys that are left.
    pub one_time_prekeys: u64,
    /// The id of the signed prekey; 0 when the device has none.
    pub signed_prekey_id: u32,
    /// Messages in the device's queue.
    pub queued_messages: u64,
    /// Bytes of ciphertext in the device's queue.
    pub queued_bytes: u64,
    /// The highest message number accepted from the device.
    pub highest_number: u64,
}

/// Everything that the server holds about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountExport {
    /// The account's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AccountId))]
    pub account_id: B64<AccountId>,
    /// The username in lower case.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9_.]{2,31}$", min_length = 3, max_length = 32))]
    pub username: String,
    /// When the account was created, in ms since 1970.
    pub created_at: u64,
    /// The newest 64 device lists, oldest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::EncodedDeviceList>, max_items = 64))]
    pub device_lists: Vec<B64<EncodedDeviceList>>,
    /// The account's devices.
    pub devices: Vec<DeviceExport>,
    /// The account's live sessions.
    pub sessions: Vec<SessionInfo>,
}
