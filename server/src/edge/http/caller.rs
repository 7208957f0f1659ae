//! Who calls, as an extractor: a handler that takes it cannot be reached without.

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use sealpost_api::problem::ProblemCode;
use serde::de::DeserializeOwned;

use super::body::{read, require_json};
use super::guard::ClientNetwork;
use super::{Http, HttpError};
use crate::service::Caller;

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, HttpError>>>>;

/// An authenticated device.
pub(super) struct Authenticated(pub Caller);

/// An authenticated device and the JSON body it sent. The body is read only after the caller is known.
pub(super) struct AuthenticatedBody<T>(pub Caller, pub T);

/// A JSON body that anyone may send.
pub(super) struct Body<T>(pub T);

/// The network that the request counts for.
pub(super) struct Network(pub [u8; 16]);

impl FromRequest for Authenticated {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { authenticate(&request).await.map(Self) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for AuthenticatedBody<T> {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = authenticate(&request).await?;
            require_json(request.headers())?;
            Ok(Self(caller, read(payload, http(&request)?.settings.body_timeout).await?))
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = HttpError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            require_json(request.headers())?;
            Ok(Self(read(payload, http(&request)?.settings.body_timeout).await?))
        })
    }
}

impl FromRequest for Network {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let network = request.extensions().get::<ClientNetwork>().map(|network| Self(network.0));
        ready(network.ok_or_else(|| ProblemCode::Internal.into()))
    }
}

fn http(request: &HttpRequest) -> Result<&web::Data<Http>, HttpError> {
    request.app_data().ok_or_else(|| ProblemCode::Internal.into())
}

/// One `Authorization: Bearer` header with a token that is good. Whatever is wrong, the answer is the same.
async fn authenticate(request: &HttpRequest) -> Result<Caller, HttpError> {
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
