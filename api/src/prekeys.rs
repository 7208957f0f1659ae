//! Prekeys: upload, counts, bundles (DESIGN: X3DH revision 1 §3.2).

use sealpost_crypto::{PrekeyPublic, RegistrationId, Signature};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{B64, EncodedDeviceList};

/// A signed prekey as it crosses the wire, unverified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedPrekeyBody {
    /// Monotone per device, chosen by the client.
    pub id: u32,
    /// The X25519 key.
    #[schema(value_type = String, format = "base64url")]
    pub key: B64<PrekeyPublic>,
    /// When it expires, in ms since 1970.
    pub expires_at: u64,
    /// By the device identity key, over label, account id, device id, registration id, key id, key and expiry.
    #[schema(value_type = String, format = "base64url")]
    pub signature: B64<Signature>,
}

/// A one-time prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTimePrekeyBody {
    /// Monotone per device, chosen by the client.
    pub id: u32,
    /// The X25519 key.
    #[schema(value_type = String, format = "base64url")]
    pub key: B64<PrekeyPublic>,
}

/// The keys with which a device begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePrekeys {
    /// The device they belong to, 1–127; it must be in the device list that comes with them.
    pub device_id: u8,
    /// Its signed prekey.
    pub signed_prekey: SignedPrekeyBody,
    /// At most 100 one-time prekeys.
    pub one_time_prekeys: Vec<OneTimePrekeyBody>,
}

/// `POST /v1/prekeys`: more one-time prekeys, and a new signed prekey if one is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadPrekeysRequest {
    /// The key epoch the keys were made for; another one is a 409 and changes nothing.
    pub key_epoch: u32,
    /// At most 100. An id at or below `max_issued_id` changes nothing; a stored id with another key is a 409.
    pub one_time_prekeys: Vec<OneTimePrekeyBody>,
    /// Replaces the signed prekey when its id is higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_prekey: Option<SignedPrekeyBody>,
}

/// What the server holds of this device's prekeys; the answer to every key call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrekeyStatus {
    /// Rises when a restore emptied the one-time prekeys.
    pub key_epoch: u32,
    /// One-time prekeys left.
    pub one_time_left: u32,
    /// The highest one-time prekey id ever uploaded; 0 when none was.
    pub max_issued_id: u32,
    /// The current signed prekey's id; 0 when there is none.
    pub signed_prekey_id: u32,
    /// When it expires, in ms since 1970.
    pub signed_prekey_expires_at: u64,
    /// Whether fewer than a quarter are left.
    pub low: bool,
}

/// `GET /v1/prekeys/ids`: the one-time prekeys that are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrekeyIds {
    /// Ascending; at most 200.
    pub ids: Vec<u32>,
}

/// `POST /v1/accounts/{account_id}/bundles`: takes a bundle for each device named, or for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBundlesRequest {
    /// The devices; absent for all of the current list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<u8>>,
}

/// One device's prekey bundle, unverified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceBundle {
    /// 1–127.
    pub device_id: u8,
    /// The registration the keys belong to.
    #[schema(value_type = String, format = "base64url")]
    pub registration_id: B64<RegistrationId>,
    /// Absent when the device has no unexpired one: it cannot be written to before it comes back.
    pub signed_prekey: Option<SignedPrekeyBody>,
    /// Absent when none is left, or above a limit: X3DH goes on without.
    pub one_time_prekey: Option<OneTimePrekeyBody>,
    /// Whether the device has been away for 30 days, so that a copy for it is optional and would be dropped.
    pub dormant: bool,
}

/// The bundles taken, with the signed device list that vouches for the identity keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBundlesResponse {
    /// The account's current device list.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
    /// One for each device asked for that is in the list.
    pub bundles: Vec<DeviceBundle>,
}
