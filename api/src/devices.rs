//! Signed device lists.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{B64, EncodedDeviceList};
use crate::prekeys::DevicePrekeys;

/// `PUT /v1/account/devices`: the next device list, compare-and-set on its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishDeviceListRequest {
    /// Version current + 1, chained to the current list. The current list again is a success that changes nothing.
    #[schema(value_type = String, format = "base64url")]
    pub device_list: B64<EncodedDeviceList>,
    /// The keys of devices that are new in this list, so that they can be written to at once.
    #[serde(default)]
    pub added: Vec<DevicePrekeys>,
}

/// `GET /v1/accounts/{account_id}/devices?after=VERSION`: the lists after a version, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceLists {
    /// At most 64, ascending by version. Without `after`, only the current one.
    #[schema(value_type = Vec<String>)]
    pub device_lists: Vec<B64<EncodedDeviceList>>,
    /// The current version.
    pub current_version: u64,
}
