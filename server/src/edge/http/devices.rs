//! Signed device lists.

use actix_web::{HttpRequest, web};
use sealpost_api::devices::{DeviceLists, PublishDeviceListRequest};

use super::caller::{Authenticated, AuthenticatedBody};
use super::{Http, HttpError, path};

type Reply<T> = Result<web::Json<T>, HttpError>;

/// The device lists of an account after a version, oldest first; without `after`, only the current one.
#[utoipa::path(get, path = "/v1/accounts/{account_id}/devices", tag = "devices",
    params(("account_id" = String, Path, description = "base64url, 16 bytes"),
           ("after" = Option<u64>, Query, description = "The newest version that the client has.")),
    responses((status = 200, body = DeviceLists)))]
pub(super) async fn lists(http: web::Data<Http>, request: HttpRequest, caller: Authenticated) -> Reply<DeviceLists> {
    let (account, after) = (path::id(&request, "account_id")?, path::after(&request)?);
    Ok(web::Json(http.services.device_lists(&caller.0, account, after).await?))
}

/// Publishes the account's next device list, compare-and-set on its version. The current list again is a success that
/// changes nothing. Answers with the list that is current now.
#[utoipa::path(put, path = "/v1/account/devices", tag = "devices", request_body = PublishDeviceListRequest,
    responses((status = 200, body = DeviceLists)))]
pub(super) async fn publish(
    http: web::Data<Http>,
    call: AuthenticatedBody<PublishDeviceListRequest>,
) -> Reply<DeviceLists> {
    Ok(web::Json(http.services.publish_device_list(&call.0, &call.1).await?))
}
