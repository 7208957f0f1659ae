//! Signed device lists.

use actix_web::web;
use sealpost_api::devices::{PublishDeviceList, ReadDeviceLists};

use super::call::{Call, Reply};
use super::route::{Route, route};
use super::state::Http;

pub(super) const ROUTES: &[Route] =
    &[route!(ReadDeviceLists, [], read), route!(PublishDeviceList, [PublishAccount], publish)];

async fn read(http: web::Data<Http>, call: Call<ReadDeviceLists>) -> Reply<ReadDeviceLists> {
    let ReadDeviceLists { account_id, after } = call.arguments;
    Ok(web::Json(http.services.device_lists(&call.caller, account_id, after).await?))
}

async fn publish(http: web::Data<Http>, call: Call<PublishDeviceList>) -> Reply<PublishDeviceList> {
    Ok(web::Json(http.services.publish_device_list(&call.caller, &call.body).await?))
}
