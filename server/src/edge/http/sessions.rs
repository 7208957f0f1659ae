//! Sessions.

use actix_web::{HttpRequest, web};
use sealpost_api::sessions::{LoginRequest, RefreshRequest, SessionGrant, SessionList, SessionsEnded};

use super::caller::{Authenticated, Body, Network};
use super::{Http, HttpError, path};

type Reply<T> = Result<web::Json<T>, HttpError>;

/// Logs in on a device of the account's device list, and ends that device's other sessions.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = LoginRequest,
    responses((status = 200, body = SessionGrant)))]
pub(super) async fn log_in(http: web::Data<Http>, network: Network, body: Body<LoginRequest>) -> Reply<SessionGrant> {
    Ok(web::Json(http.services.log_in(network.0, body.0).await?))
}

/// Exchanges a refresh token for the next. The same pair again, while that next one is current, gets a new access token;
/// any other use of a spent token ends the session.
#[utoipa::path(post, path = "/v1/sessions/refresh", tag = "sessions", request_body = RefreshRequest,
    responses((status = 200, body = SessionGrant)))]
pub(super) async fn refresh(http: web::Data<Http>, body: Body<RefreshRequest>) -> Reply<SessionGrant> {
    Ok(web::Json(http.services.refresh(&body.0).await?))
}

/// The account's live sessions.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", responses((status = 200, body = SessionList)))]
pub(super) async fn list(http: web::Data<Http>, caller: Authenticated) -> Reply<SessionList> {
    Ok(web::Json(http.services.sessions(&caller.0).await?))
}

/// Ends every session of the account, this one too.
#[utoipa::path(delete, path = "/v1/sessions", tag = "sessions", responses((status = 200, body = SessionsEnded)))]
pub(super) async fn end_all(http: web::Data<Http>, caller: Authenticated) -> Reply<SessionsEnded> {
    Ok(web::Json(http.services.end_all_sessions(&caller.0).await?))
}

/// Logs out.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", responses((status = 200, body = SessionsEnded)))]
pub(super) async fn log_out(http: web::Data<Http>, caller: Authenticated) -> Reply<SessionsEnded> {
    let session = caller.0.session;
    Ok(web::Json(http.services.end_session(&caller.0, session).await?))
}

/// Ends one session of the account. One that is not there counts as ended: 0.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "sessions",
    params(("session_id" = String, Path, description = "base64url, 16 bytes")),
    responses((status = 200, body = SessionsEnded)))]
pub(super) async fn end_one(
    http: web::Data<Http>,
    request: HttpRequest,
    caller: Authenticated,
) -> Reply<SessionsEnded> {
    let session = path::id(&request, "session_id")?;
    Ok(web::Json(http.services.end_session(&caller.0, session).await?))
}
