//! Prekeys and bundles.

use actix_web::web;
use sealpost_api::prekeys::{DiscardPrekeys, ListPrekeyIds, ReadPrekeyStatus, TakeBundles, UploadPrekeys};

use super::call::{Call, Reply};
use super::route::{Route, route};
use super::state::Http;

pub(super) const ROUTES: &[Route] = &[
    route!(ReadPrekeyStatus, [], read_status),
    route!(ListPrekeyIds, [], list_ids),
    route!(UploadPrekeys, [UploadDevice], upload),
    route!(DiscardPrekeys, [], discard),
    route!(TakeBundles, [BundleRefuse, BundlePair, BundleTarget], take_bundles),
];

async fn read_status(http: web::Data<Http>, call: Call<ReadPrekeyStatus>) -> Reply<ReadPrekeyStatus> {
    Ok(web::Json(http.services.prekey_status(&call.caller).await?))
}

async fn list_ids(http: web::Data<Http>, call: Call<ListPrekeyIds>) -> Reply<ListPrekeyIds> {
    Ok(web::Json(http.services.prekey_ids(&call.caller).await?))
}

async fn upload(http: web::Data<Http>, call: Call<UploadPrekeys>) -> Reply<UploadPrekeys> {
    Ok(web::Json(http.services.upload_prekeys(&call.caller, &call.body).await?))
}

async fn discard(http: web::Data<Http>, call: Call<DiscardPrekeys>) -> Reply<DiscardPrekeys> {
    Ok(web::Json(http.services.discard_prekeys(&call.caller).await?))
}

async fn take_bundles(http: web::Data<Http>, call: Call<TakeBundles>) -> Reply<TakeBundles> {
    Ok(web::Json(http.services.take_bundles(&call.caller, call.arguments.account_id, &call.body).await?))
}
