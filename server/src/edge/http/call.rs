//! What a handler is called with. Only the extractor here makes a [`Call`], so that no handler runs before the caller that its
//! endpoint demands is known.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use sealpost_api::endpoint::{AccessKind, Anyone, Arguments, Endpoint, RequestBody as _, Session};
use sealpost_api::problem::ProblemCode;

use super::body::{read, require_json};
use super::problem::HttpError;
use super::state::{ClientNetwork, Http};
use crate::service::Caller;

/// What a handler answers with.
pub(super) type Reply<E> = Result<web::Json<<E as Endpoint>::Response>, HttpError>;

/// A request to an endpoint, admitted and read.
pub(super) struct Call<E: Endpoint<Access: Admission>> {
    /// The device that calls, where the endpoint demands one.
    pub(super) caller: <E::Access as Admission>::Caller,
    /// The network that the request counts for.
    pub(super) network: [u8; 16],
    /// The arguments in the path and the query.
    pub(super) arguments: E,
    /// The body.
    pub(super) body: E::Request,
}

/// How a kind of access is checked.
pub(super) trait Admission: AccessKind {
    /// What is known of the caller after the check.
    type Caller;

    /// Checks that the request may be made.
    async fn admit(request: &HttpRequest) -> Result<Self::Caller, HttpError>;
}

impl Admission for Anyone {
    type Caller = ();

    async fn admit(_: &HttpRequest) -> Result<(), HttpError> {
        Ok(())
    }
}

impl Admission for Session {
    type Caller = Caller;

    /// Demands one `Authorization: Bearer` header with a valid token. The answer is the same whatever is wrong with it.
    async fn admit(request: &HttpRequest) -> Result<Caller, HttpError> {
        let unauthenticated = || HttpError::from(ProblemCode::Unauthenticated);
        let mut values = request.headers().get_all(AUTHORIZATION);
        let (Some(value), None) = (values.next(), values.next()) else { return Err(unauthenticated()) };
        let text = value.to_str().map_err(|_| unauthenticated())?;
        let (scheme, token) = text.split_once(' ').ok_or_else(unauthenticated)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unauthenticated());
        }
        Ok(http(request)?.services.authenticate(token).await?)
    }
}

impl<E: Endpoint<Access: Admission>> FromRequest for Call<E> {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // Nothing of the body is read for a caller who may not send one.
            let caller = E::Access::admit(&request).await?;
            let body = body::<E>(&request, payload).await?;
            let arguments = arguments(&request)?;
            let network = request.extensions().get::<ClientNetwork>().copied();
            let network = network.ok_or_else(|| HttpError::from(ProblemCode::Internal))?.0;
            Ok(Self { caller, network, arguments, body })
        })
    }
}

async fn body<E: Endpoint>(request: &HttpRequest, payload: Payload) -> Result<E::Request, HttpError> {
    if let Some(none) = E::Request::absent() {
        return Ok(none);
    }
    require_json(request.headers())?;
    read(payload, http(request)?.settings.body_timeout).await
}

fn arguments<E: Endpoint>(request: &HttpRequest) -> Result<E, HttpError> {
    let segment = |name: &str| request.match_info().get(name);
    let arguments = Arguments { segment: &segment, query: request.query_string() };
    E::parse(&arguments).map_err(|error| HttpError::malformed_argument(error.name))
}

fn http(request: &HttpRequest) -> Result<&web::Data<Http>, HttpError> {
    request.app_data().ok_or_else(|| ProblemCode::Internal.into())
}
