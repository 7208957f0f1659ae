//! Prekeys: upload, counts, and bundles for the senders' key agreement (X3DH revision 1, §3.2).

use sealpost_crypto::{AccountId, PrekeyPublic, RegistrationId, Signature};
use serde::{Deserialize, Serialize};

use crate::encoding::{B64, EncodedDeviceList};
use crate::endpoint::{NoBody, RequestBody, ResponseBody, endpoints};

endpoints! {
    /// Returns what the server holds of this device's prekeys.
    ReadPrekeyStatus {} = Get "/v1/prekeys", Session, "prekeys",
        NoBody => PrekeyStatus, "The state of this device's prekeys.",
        [];

    /// Returns the ids of this device's one-time prekeys that are left.
    ListPrekeyIds {} = Get "/v1/prekeys/ids", Session, "prekeys",
        NoBody => PrekeyIds, "The ids of the one-time prekeys that are left.",
        [];

    /// Uploads one-time prekeys, and a new signed prekey if one is due. Repeating the same upload succeeds and changes nothing.
    UploadPrekeys {} = Post "/v1/prekeys", Session, "prekeys",
        UploadPrekeysRequest => PrekeyStatus, "The state of this device's prekeys after the upload.",
        [KeyEpochConflict, PrekeyConflict, PrekeysFull, OneTimePrekeysInvalid, SignedPrekeyInvalid, SignedPrekeyExpired];

    /// Deletes this device's one-time prekeys.
    DiscardPrekeys {} = Delete "/v1/prekeys", Session, "prekeys",
        NoBody => PrekeyStatus, "The state of this device's prekeys after the deletion.",
        [];

    /// Takes a prekey bundle for each named device, or for all. A device beyond its limits gives a bundle without a one-time
    /// prekey.
    TakeBundles {
        /// The account whose devices the caller wants to write to.
        path account_id: AccountId,
    } = Post "/v1/accounts/{account_id}/bundles", Session, "prekeys",
        TakeBundlesRequest => TakeBundlesResponse, "The bundles, with the device list that vouches for them.",
        [NotFound];
}

impl RequestBody for UploadPrekeysRequest {}
impl RequestBody for TakeBundlesRequest {}
impl ResponseBody for PrekeyStatus {}
impl ResponseBody for PrekeyIds {}
impl ResponseBody for TakeBundlesResponse {}

/// A signed prekey. Its signature is not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SignedPrekey))]
#[serde(deny_unknown_fields)]
pub struct SignedPrekeyBody {
    /// The id, chosen by the client. Each new one of a device is higher than the last.
    pub id: u32,
    /// The X25519 key.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::PrekeyPublic))]
    pub key: B64<PrekeyPublic>,
    /// When the prekey expires, in ms since 1970.
    pub expires_at: u64,
    /// The device identity key's signature over label, account id, device id, registration id, key id, key and expiry.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: B64<Signature>,
}

/// A one-time prekey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OneTimePrekey))]
#[serde(deny_unknown_fields)]
pub struct OneTimePrekeyBody {
    /// The id, chosen by the client. Each new one of a device is higher than the last.
    pub id: u32,
    /// The X25519 key.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::PrekeyPublic))]
    pub key: B64<PrekeyPublic>,
}

/// The prekeys with which a device starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DevicePrekeys {
    /// The device that they belong to. It must be in the device list of the same request.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 127))]
    pub device_id: u8,
    /// The device's signed prekey.
    pub signed_prekey: SignedPrekeyBody,
    /// At most 100 one-time prekeys.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub one_time_prekeys: Vec<OneTimePrekeyBody>,
}

/// More one-time prekeys, and a new signed prekey if one is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UploadPrekeysRequest {
    /// The key epoch that the keys were made for. The server refuses any other with `key_epoch_conflict`.
    pub key_epoch: u32,
    /// At most 100 one-time prekeys. An id at or below `max_issued_id` changes nothing. The server refuses another key under a
    /// stored id with `prekey_conflict`.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub one_time_prekeys: Vec<OneTimePrekeyBody>,
    /// The new signed prekey. It replaces the stored one when its id is higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_prekey: Option<SignedPrekeyBody>,
}

/// What the server holds of a device's prekeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrekeyStatus {
    /// The key epoch, which rises when a restore from a backup emptied the one-time prekeys.
    pub key_epoch: u32,
    /// How many one-time prekeys are left.
    pub one_time_left: u32,
    /// The highest one-time prekey id ever uploaded; 0 before the first upload.
    pub max_issued_id: u32,
    /// The id of the current signed prekey; 0 when the device has none.
    pub signed_prekey_id: u32,
    /// When the signed prekey expires, in ms since 1970.
    pub signed_prekey_expires_at: u64,
    /// Whether less than a quarter of the one-time prekeys of one upload is left.
    pub low: bool,
}

/// The ids of a device's one-time prekeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PrekeyIds {
    /// At most 200 ids, in ascending order.
    #[cfg_attr(feature = "openapi", schema(max_items = 200))]
    pub ids: Vec<u32>,
}

/// The devices for which bundles are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TakeBundlesRequest {
    /// The device ids. Absent means all devices of the current list.
    #[cfg_attr(feature = "openapi", schema(max_items = 8))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<u8>>,
}

/// A device's prekey bundle. Its signatures are not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceBundle {
    /// The device id.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 127))]
    pub device_id: u8,
    /// The registration id that the keys belong to.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RegistrationId))]
    pub registration_id: B64<RegistrationId>,
    /// The signed prekey. Absent when it is expired: nobody can write to the device before it renews its keys.
    pub signed_prekey: Option<SignedPrekeyBody>,
    /// A one-time prekey. Absent when none is left or a limit is reached: X3DH works without it.
    pub one_time_prekey: Option<OneTimePrekeyBody>,
    /// Whether the device has been away for 30 days. A message need not have a copy for it, and the server drops such a copy.
    pub dormant: bool,
}

/// Prekey bundles, with the signed device list that vouches for the devices' identity keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TakeBundlesResponse {
    /// The account's current device list.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
    /// A bundle for each requested device that is in the list.
    #[cfg_attr(feature = "openapi", schema(max_items = 8))]
    pub bundles: Vec<DeviceBundle>,
}
