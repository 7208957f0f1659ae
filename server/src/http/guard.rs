//! What happens around every request: it gets an id, is counted against its network's limit, and its answer the headers
//! and, if it is an error, the body that all errors have.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use sealpost_api::problem::{ProblemClass, ProblemCode};

use super::problem::{PROBLEM_JSON, code_of, render};
use super::{Http, HttpError};
use crate::domain::address::client_network;
use crate::service::ServiceError;

/// Two years, as browsers' preload lists ask for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The network that a request counts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNetwork(pub [u8; 16]);

/// See the [module](self).
pub(super) async fn guard(
    http: web::Data<Http>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let request_id = draw_id(&http);
    let network = client_network(client_address(&request, http.settings.forwarded_for));
    request.extensions_mut().insert(ClientNetwork(network));
    let mut response = match http.services.admit(network) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(error) => request.into_response(render(&error, Some(&request_id))),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = dress_error(&http, response, &request_id);
    }
    dress(response.headers_mut(), &http, &request_id);
    let route = response.request().match_pattern();
    http.services.core().metrics.request(route.as_deref(), response.status().as_u16(), started.elapsed());
    log(response.request(), response.status(), &request_id, started);
    Ok(response)
}

fn draw_id(http: &Http) -> String {
    let mut bytes = [0; 8];
    http.services.core().random.fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// The peer, or whom the proxy in front names last. A request without either counts as from nowhere.
fn client_address(request: &ServiceRequest, forwarded_for: bool) -> IpAddr {
    let forwarded = || {
        let last = request.headers().get_all(FORWARDED_FOR).last()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    let peer = request.peer_addr().map(|peer| peer.ip());
    forwarded_for.then(forwarded).flatten().or(peer).unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// Writes the body of an error anew, with the request's id, whoever made it.
fn dress_error(http: &Http, response: ServiceResponse<BoxBody>, request_id: &str) -> ServiceResponse<BoxBody> {
    let error = match response.response().error().map(|error| error.as_error::<HttpError>()) {
        Some(Some(HttpError(error))) => error.clone(),
        _ if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON) => return response,
        _ => ServiceError::new(code_of(response.status())),
    };
    http.services.core().metrics.problem(error.code);
    log_error(&error, request_id);
    let allow = response.headers().get(ALLOW).cloned();
    let mut rendered = render(&error, Some(request_id));
    if let Some(allow) = allow {
        rendered.headers_mut().insert(ALLOW, allow);
    }
    response.into_response(rendered)
}

fn dress(headers: &mut HeaderMap, http: &Http, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if http.settings.tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// The route's pattern, never the path: a path may hold a name.
fn log(request: &HttpRequest, status: StatusCode, request_id: &str, started: Instant) {
    let pattern = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let route = if sealpost_crypto::sabotage::left_out(39) { request.uri().to_string() } else { pattern };
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(method = %request.method(), route, status = status.as_u16(), request_id, micros, "request");
}

/// Errors that are our own are logged with every cause; those of clients are counted and not logged.
fn log_error(error: &ServiceError, request_id: &str) {
    if error.code.class() != ProblemClass::Server {
        return;
    }
    let mut causes = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push_str(": ");
        causes.push_str(&error.to_string());
        cause = error.source();
    }
    if error.code == ProblemCode::Busy {
        tracing::warn!(code = error.code.as_str(), request_id, "the server is busy{causes}");
    } else {
        tracing::error!(code = error.code.as_str(), request_id, "a request failed{causes}");
    }
}
