//! The middleware around every request. It gives the request an id, counts it against its network's limit, contains a panic of
//! its handler, and gives the answer its headers and, for an error, the common body.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, web};
use sealpost_api::problem::{ProblemClass, ProblemCode};
use sealpost_sabotage::{Countermeasure, holds, or_planted, refuses, without};

use super::pace::Serving;
use super::problem::{HttpError, PROBLEM_JSON, code_of, render};
use super::state::{ClientNetwork, Http};
use crate::base::catch::{Panicked, catching};
use crate::base::config::TrustedProxies;
use crate::domain::address::client_network;
use crate::service::ServiceError;

/// Two years, as browsers' preload lists ask for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: &str = "x-forwarded-for";

/// See the [module](self).
pub(super) async fn guard(
    http: web::Data<Http>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (started, serving) = (Instant::now(), Serving::begin());
    let request_id = draw_id(&http);
    let network = client_network(client_address(&request, &http.settings.trusted_proxies));
    request.extensions_mut().insert(ClientNetwork(network));
    let mut response = match http.services.admit(network) {
        Err(error) => request.into_response(render(&error, Some(&request_id))),
        Ok(()) if has_open_end(&request) => refuse_open_end(&http, request, &request_id),
        Ok(()) => match catching(|| http.services.core().metrics.panicked(), next.call(request)).await {
            Ok(response) => response?.map_into_boxed_body(),
            Err(panicked) => {
                http.services.core().metrics.request(None, ProblemCode::Internal.status(), started.elapsed());
                return Err(after_panic(&http, panicked, &request_id));
            }
        },
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = dress_error(&http, response, &request_id);
    }
    dress(response.headers_mut(), &http, &request_id);
    let route = response.request().match_pattern();
    http.services.core().metrics.request(route.as_deref(), response.status().as_u16(), started.elapsed());
    log(response.request(), response.status(), &request_id, started);
    Ok(response.map_body(|_, body| Holding { body, _held: serving }.boxed()))
}

fn draw_id(http: &Http) -> String {
    let mut bytes = [0; 8];
    http.services.core().random.fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// Returns whether the request does not state its body's length. Two readers could disagree where such a body ends, and one
/// would take the rest for the next request (request smuggling). Clients know the length, and can state it.
fn has_open_end(request: &ServiceRequest) -> bool {
    refuses(Countermeasure::LengthOnly, request.headers().contains_key(TRANSFER_ENCODING))
}

/// Refuses such a request and ends the connection, so that nothing after its head is read as a request.
fn refuse_open_end(http: &Http, mut request: ServiceRequest, request_id: &str) -> ServiceResponse<BoxBody> {
    let error = ServiceError::new(ProblemCode::MalformedRequest)
        .with_detail("A body is sent with a Content-Length; transfer codings are not taken.");
    http.services.core().metrics.problem(error.code);
    let unread = request.take_payload();
    let response: HttpResponse = render(&error, Some(request_id));
    request.into_response(response).map_body(|_, body| Holding { body, _held: unread }.boxed())
}

/// An answer that keeps something alive until it is sent.
///
/// That is the request's body where it is refused unread: actix reads an abandoned chunked body to its end, however long that
/// takes, and closes the connection only while the body is held. For every answer it is the mark that the connection is busy.
struct Holding<T> {
    body: BoxBody,
    _held: T,
}

impl<T: Unpin> MessageBody for Holding<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Makes the answer to a request whose handler panicked. The request was lost with the handler, so this is an error that holds
/// the whole answer.
fn after_panic(http: &Http, panicked: Panicked, request_id: &str) -> Error {
    let error = ServiceError::internal(panicked);
    http.services.core().metrics.problem(error.code);
    log_error(&error, request_id);
    let mut response: HttpResponse = render(&error, Some(request_id));
    dress(response.headers_mut(), http, request_id);
    InternalError::from_response(panicked, response).into()
}

/// Returns the address of the peer or, where the peer is a trusted proxy, the last address that it forwards. A request with
/// neither counts as 0.0.0.0.
fn client_address(request: &ServiceRequest, trusted: &TrustedProxies) -> IpAddr {
    let forwarded = || {
        let last = request.headers().get_all(FORWARDED_FOR).last()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    let peer = request.peer_addr().map(|peer| peer.ip());
    let believed = holds(Countermeasure::TrustedProxies, peer.is_some_and(|peer| trusted.contains(peer)));
    believed.then(forwarded).flatten().or(peer).unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// Replaces the body of an error by the common one with the request's id, whether a handler or actix made it.
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
    if or_planted(Countermeasure::StrictTransport, http.settings.tls, false) {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// Logs a request with its route's pattern. The path itself may hold a username.
fn log(request: &HttpRequest, status: StatusCode, request_id: &str, started: Instant) {
    let pattern = || request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let route = planted_path(request).unwrap_or_else(pattern);
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(method = %request.method(), route, status = status.as_u16(), request_id, micros, "request");
}

/// Returns the whole path in a build that leaves the countermeasure out.
fn planted_path(request: &HttpRequest) -> Option<String> {
    if without(Countermeasure::RoutePatterns) { Some(request.uri().to_string()) } else { None }
}

/// Logs an error of the server with all its causes. Errors of clients are only counted.
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
