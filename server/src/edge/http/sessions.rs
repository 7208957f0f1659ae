//! Sessions.

use actix_web::web;
use sealpost_api::sessions::{EndAllSessions, EndSession, ListSessions, LogIn, LogOut, RefreshSession};

use super::call::{Call, Reply};
use super::route::{Route, route};
use super::state::Http;

pub(super) const ROUTES: &[Route] = &[
    route!(LogIn, [LoginAddress, LoginDevice, LoginAccount, LoginServer], log_in),
    route!(RefreshSession, [], refresh),
    route!(ListSessions, [], list),
    route!(EndAllSessions, [], end_all),
    route!(LogOut, [], log_out),
    route!(EndSession, [], end),
];

async fn log_in(http: web::Data<Http>, call: Call<LogIn>) -> Reply<LogIn> {
    Ok(web::Json(http.services.log_in(call.network, call.body).await?))
}

async fn refresh(http: web::Data<Http>, call: Call<RefreshSession>) -> Reply<RefreshSession> {
    Ok(web::Json(http.services.refresh(&call.body).await?))
}

async fn list(http: web::Data<Http>, call: Call<ListSessions>) -> Reply<ListSessions> {
    Ok(web::Json(http.services.sessions(&call.caller).await?))
}

async fn end_all(http: web::Data<Http>, call: Call<EndAllSessions>) -> Reply<EndAllSessions> {
    Ok(web::Json(http.services.end_all_sessions(&call.caller).await?))
}

async fn log_out(http: web::Data<Http>, call: Call<LogOut>) -> Reply<LogOut> {
    let session = call.caller.session;
    Ok(web::Json(http.services.end_session(&call.caller, session).await?))
}

async fn end(http: web::Data<Http>, call: Call<EndSession>) -> Reply<EndSession> {
    Ok(web::Json(http.services.end_session(&call.caller, call.arguments.session_id).await?))
}
