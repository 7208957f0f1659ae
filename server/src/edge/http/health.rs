//! Health, facts about the server, and its OpenAPI document.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::ServerInfo;
use serde::Serialize;

use super::{Http, HttpError, openapi};

/// The process answers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> web::Json<Health> {
    web::Json(Health { status: "ok" })
}

/// Whether it can do its work: the store takes writes.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn readyz(http: web::Data<Http>) -> Result<web::Json<Health>, HttpError> {
    http.services.ready().await?;
    Ok(web::Json(Health { status: "ok" }))
}

/// What a client reads before it has an account here.
#[utoipa::path(get, path = "/v1/server", tag = "server", responses((status = 200, body = ServerInfo)))]
pub(super) async fn server(http: web::Data<Http>) -> web::Json<ServerInfo> {
    web::Json(http.services.server_info())
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "server",
    responses((status = 200, description = "The OpenAPI document.", content_type = "application/json")))]
pub(super) async fn openapi_json() -> Result<HttpResponse, HttpError> {
    let document = openapi::text().ok_or(HttpError::from(ProblemCode::Internal))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(document))
}
