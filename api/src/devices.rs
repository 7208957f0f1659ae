//! Signed device lists: reading and publishing them.

use sealpost_crypto::AccountId;
use serde::{Deserialize, Serialize};

use crate::encoding::{B64, EncodedDeviceList};
use crate::endpoint::{NoBody, RequestBody, ResponseBody, endpoints};
use crate::prekeys::DevicePrekeys;

endpoints! {
    /// Returns the device lists of an account after a version, oldest first. Without `after`, returns only the current one.
    ReadDeviceLists {
        /// The account whose lists to read.
        path account_id: AccountId,
        /// The newest version that the client has.
        query after: Option<u64>,
    } = Get "/v1/accounts/{account_id}/devices", Session, "devices",
        NoBody => DeviceLists, "The device lists.",
        [NotFound];

    /// Publishes the account's next device list. It is accepted only if its version follows the current one. Publishing the
    /// current list again succeeds and changes nothing.
    PublishDeviceList {} = Put "/v1/account/devices", Session, "devices",
        PublishDeviceListRequest => DeviceLists, "The list that is current now.",
        [DeviceListInvalid, DeviceListConflict, SignedPrekeyInvalid, SignedPrekeyExpired, OneTimePrekeysInvalid];
}

impl RequestBody for PublishDeviceListRequest {}
impl ResponseBody for DeviceLists {}

/// The account's next device list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublishDeviceListRequest {
    /// The next device list: the current version + 1, chained to the current list.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::EncodedDeviceList))]
    pub device_list: B64<EncodedDeviceList>,
    /// The prekeys of the devices that are new in this list, so that others can write to them at once.
    #[serde(default)]
    pub added: Vec<DevicePrekeys>,
}

/// Device lists of an account, and the version that is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceLists {
    /// At most 64 lists, in ascending order of versions.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::openapi::EncodedDeviceList>, max_items = 64))]
    pub device_lists: Vec<B64<EncodedDeviceList>>,
    /// The current version.
    pub current_version: u64,
}
