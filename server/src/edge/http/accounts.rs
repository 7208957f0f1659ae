//! Accounts and identities.

use actix_web::{HttpRequest, web};
use sealpost_api::accounts::{
    AccountExport, AccountInfo, ChangePasswordRequest, CurrentIdentity, CurrentIdentityRequest, DeleteAccountRequest,
    ErasureReport, NewIdentityRequest, RegisterRequest,
};
use sealpost_api::sessions::{SessionGrant, SessionsEnded};

use super::caller::{Authenticated, AuthenticatedBody, Body, Network};
use super::{Http, HttpError};

type Reply<T> = Result<web::Json<T>, HttpError>;

/// Creates an account with its first device, and logs it in. The same request again gets the first answer.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = RegisterRequest,
    responses((status = 200, body = SessionGrant)))]
pub(super) async fn register(
    http: web::Data<Http>,
    network: Network,
    body: Body<RegisterRequest>,
) -> Reply<SessionGrant> {
    Ok(web::Json(http.services.register(network.0, body.0).await?))
}

/// The account of a name, with what a contact pins.
#[utoipa::path(get, path = "/v1/accounts/by-name/{username}", tag = "accounts",
    params(("username" = String, Path, description = "The name, in any case.")),
    responses((status = 200, body = AccountInfo)))]
pub(super) async fn by_name(
    http: web::Data<Http>,
    request: HttpRequest,
    caller: Authenticated,
    network: Network,
) -> Reply<AccountInfo> {
    let username = request.match_info().get("username").unwrap_or_default();
    Ok(web::Json(http.services.account_by_name(&caller.0, network.0, username).await?))
}

/// What a machine without the account's identity key needs to begin a new identity.
#[utoipa::path(post, path = "/v1/identity/current", tag = "accounts", request_body = CurrentIdentityRequest,
    responses((status = 200, body = CurrentIdentity)))]
pub(super) async fn current_identity(
    http: web::Data<Http>,
    network: Network,
    body: Body<CurrentIdentityRequest>,
) -> Reply<CurrentIdentity> {
    Ok(web::Json(http.services.current_identity(network.0, &body.0).await?))
}

/// Goes on under a new account identity key. Ends every device and session before it. The same request again gets the first
/// answer.
#[utoipa::path(post, path = "/v1/identity", tag = "accounts", request_body = NewIdentityRequest,
    responses((status = 200, body = SessionGrant)))]
pub(super) async fn new_identity(
    http: web::Data<Http>,
    network: Network,
    body: Body<NewIdentityRequest>,
) -> Reply<SessionGrant> {
    Ok(web::Json(http.services.new_identity(network.0, body.0).await?))
}

/// Changes the password. Ends all other sessions and every access token issued before, the caller's too: refresh it. The
/// same request again is a success that changes nothing.
#[utoipa::path(put, path = "/v1/account/password", tag = "accounts", request_body = ChangePasswordRequest,
    responses((status = 200, body = SessionsEnded)))]
pub(super) async fn change_password(
    http: web::Data<Http>,
    call: AuthenticatedBody<ChangePasswordRequest>,
) -> Reply<SessionsEnded> {
    Ok(web::Json(http.services.change_password(&call.0, call.1).await?))
}

/// Erases the account, and says what was erased and what remains.
#[utoipa::path(post, path = "/v1/account/delete", tag = "accounts", request_body = DeleteAccountRequest,
    responses((status = 200, body = ErasureReport)))]
pub(super) async fn delete(
    http: web::Data<Http>,
    call: AuthenticatedBody<DeleteAccountRequest>,
) -> Reply<ErasureReport> {
    Ok(web::Json(http.services.delete_account(&call.0, &call.1).await?))
}

/// All that the server holds of the account.
#[utoipa::path(get, path = "/v1/account/export", tag = "accounts", responses((status = 200, body = AccountExport)))]
pub(super) async fn export(http: web::Data<Http>, caller: Authenticated) -> Reply<AccountExport> {
    Ok(web::Json(http.services.export(&caller.0).await?))
}
