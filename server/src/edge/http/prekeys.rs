//! Prekeys and bundles.

use actix_web::{HttpRequest, web};
use sealpost_api::prekeys::{PrekeyIds, PrekeyStatus, TakeBundlesRequest, TakeBundlesResponse, UploadPrekeysRequest};

use super::caller::{Authenticated, AuthenticatedBody};
use super::{Http, HttpError, path};

type Reply<T> = Result<web::Json<T>, HttpError>;

/// What the server holds of this device's prekeys.
#[utoipa::path(get, path = "/v1/prekeys", tag = "prekeys", responses((status = 200, body = PrekeyStatus)))]
pub(super) async fn status(http: web::Data<Http>, caller: Authenticated) -> Reply<PrekeyStatus> {
    Ok(web::Json(http.services.prekey_status(&caller.0).await?))
}

/// Ids of this device's one-time prekeys that are left.
#[utoipa::path(get, path = "/v1/prekeys/ids", tag = "prekeys", responses((status = 200, body = PrekeyIds)))]
pub(super) async fn ids(http: web::Data<Http>, caller: Authenticated) -> Reply<PrekeyIds> {
    Ok(web::Json(http.services.prekey_ids(&caller.0).await?))
}

/// Uploads one-time prekeys, and a new signed prekey if one is due. The same upload again is a success that changes nothing.
#[utoipa::path(post, path = "/v1/prekeys", tag = "prekeys", request_body = UploadPrekeysRequest,
    responses((status = 200, body = PrekeyStatus)))]
pub(super) async fn upload(
    http: web::Data<Http>,
    call: AuthenticatedBody<UploadPrekeysRequest>,
) -> Reply<PrekeyStatus> {
    Ok(web::Json(http.services.upload_prekeys(&call.0, &call.1).await?))
}

/// Deletes this device's one-time prekeys.
#[utoipa::path(delete, path = "/v1/prekeys", tag = "prekeys", responses((status = 200, body = PrekeyStatus)))]
pub(super) async fn discard(http: web::Data<Http>, caller: Authenticated) -> Reply<PrekeyStatus> {
    Ok(web::Json(http.services.discard_prekeys(&caller.0).await?))
}

/// Takes a prekey bundle for each device named, or for all. Above a device's limits its bundle has no one-time prekey.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/bundles", tag = "prekeys", request_body = TakeBundlesRequest,
    params(("account_id" = String, Path, description = "base64url, 16 bytes")),
    responses((status = 200, body = TakeBundlesResponse)))]
pub(super) async fn bundles(
    http: web::Data<Http>,
    request: HttpRequest,
    call: AuthenticatedBody<TakeBundlesRequest>,
) -> Reply<TakeBundlesResponse> {
    let account = path::id(&request, "account_id")?;
    Ok(web::Json(http.services.take_bundles(&call.0, account, &call.1).await?))
}
