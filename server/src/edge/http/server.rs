//! Health, facts about the server, and its OpenAPI document.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::{CheckHealth, CheckReadiness, Health, HealthStatus, ReadOpenApi, ReadServerInfo};

use super::call::{Call, Reply};
use super::openapi;
use super::problem::HttpError;
use super::route::{Route, route};
use super::state::Http;

pub(super) const ROUTES: &[Route] = &[
    route!(CheckHealth, [], check_health),
    route!(CheckReadiness, [], check_readiness),
    route!(ReadOpenApi, [], raw read_openapi),
    route!(ReadServerInfo, [], read_server_info),
];

const HEALTHY: Health = Health { status: HealthStatus::Ok };

async fn check_health(_: web::Data<Http>, _: Call<CheckHealth>) -> Reply<CheckHealth> {
    Ok(web::Json(HEALTHY))
}

/// Answers like [`check_health`] on a path that is not in the API.
pub(super) async fn check_health_raw() -> web::Json<Health> {
    web::Json(HEALTHY)
}

async fn check_readiness(http: web::Data<Http>, _: Call<CheckReadiness>) -> Reply<CheckReadiness> {
    http.services.ready().await?;
    Ok(web::Json(HEALTHY))
}

async fn read_server_info(http: web::Data<Http>, _: Call<ReadServerInfo>) -> Reply<ReadServerInfo> {
    Ok(web::Json(http.services.server_info()))
}

async fn read_openapi() -> Result<HttpResponse, HttpError> {
    let document = openapi::text().ok_or(HttpError::from(ProblemCode::Internal))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(document))
}
