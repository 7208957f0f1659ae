//! The adapter between actix's HTTP upgrade and [`stream`](crate::service::stream). It checks the request and moves
//! bytes, without knowing their meaning.

use std::sync::Arc;

use actix_http::ws::{HandshakeError, handshake};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use sealpost_api::problem::ProblemCode;

use crate::base::catch::catching;
use crate::service::Services;
use crate::service::hub::CloseReason;
use crate::service::places::Place;
use crate::service::stream::Writer as _;

mod origin;
mod reader;
mod socket;
mod upgrade;
mod writer;

pub use origin::OriginPolicy;
pub use reader::{Received, SocketLimits, SocketReader};
use upgrade::{Handover, Upgradable};
pub use upgrade::{Upgrade, UpgradeFailed, Upgrades, with_streams};
pub use writer::SocketWriter;

/// Why a request does not become a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// It is not a WebSocket request according to RFC 6455 §4.2.1.
    #[error("the request is no WebSocket handshake")]
    Handshake,
    /// It comes from a page that is not allowed.
    #[error("the request's origin is not on the list")]
    Origin,
    /// Its `Authorization` header is invalid.
    #[error("the request's token is not valid")]
    Unauthenticated,
    /// The server cannot answer now.
    #[error("the request could not be served: {}", .0.as_str())]
    Refused(ProblemCode),
}

impl UpgradeError {
    /// Returns the problem code of the answer.
    #[must_use]
    pub const fn code(self) -> ProblemCode {
        match self {
            Self::Handshake => ProblemCode::MalformedRequest,
            Self::Origin => ProblemCode::Forbidden,
            Self::Unauthenticated => ProblemCode::Unauthenticated,
            Self::Refused(code) => code,
        }
    }
}

/// Upgrades `GET /v1/stream`. With an `Authorization` header the token is checked before the upgrade, so that a failure is a
/// plain 401; without one the first frame must be `Auth`. The stream keeps its `place` until it ends.
///
/// # Errors
/// [`UpgradeError`]; nothing was started.
pub async fn upgrade(
    request: &HttpRequest,
    services: &Services,
    origins: &OriginPolicy,
    place: Place,
) -> Result<HttpResponse, UpgradeError> {
    if !origins.allows(request.headers().get_all(ORIGIN)) {
        return Err(UpgradeError::Origin);
    }
    if !request.extensions().contains::<Upgradable>() || handshake(request.head()).is_err() {
        return Err(UpgradeError::Handshake);
    }
    let caller = match bearer(request.headers())? {
        Some(token) => Some(services.authenticate(token).await.map_err(|error| match error.code {
            ProblemCode::Unauthenticated => UpgradeError::Unauthenticated,
            code => UpgradeError::Refused(code),
        })?),
        None => None,
    };
    let services = services.clone();
    accept(request, SocketLimits::STREAM, async move |reader, writer| {
        let metrics = Arc::clone(&services.core().metrics);
        let mut farewell = writer.twin();
        if catching(|| metrics.panicked(), services.run_stream(caller, reader, writer)).await.is_err() {
            tracing::error!("a stream panicked; its client comes back");
            farewell.close(CloseReason::Internal).await;
        }
        drop(place);
    })
}

/// Answers a handshake. `then` serves what follows the answer, and the connection lasts until it ends. No extension is
/// accepted, so nothing is compressed. Only connections that [`with_streams`] serves, with [`Upgrades`], can be
/// answered.
///
/// # Errors
/// [`UpgradeError::Handshake`] if the request is not a valid handshake.
pub fn accept<R: Future<Output = ()> + 'static>(
    request: &HttpRequest,
    limits: SocketLimits,
    then: impl FnOnce(SocketReader, SocketWriter) -> R + 'static,
) -> Result<HttpResponse, UpgradeError> {
    let mut response = handshake(request.head()).map_err(|_: HandshakeError| UpgradeError::Handshake)?.finish();
    response.extensions_mut().insert(Handover::new(limits, then));
    Ok(response.map_into_boxed_body().into())
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, UpgradeError> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(UpgradeError::Unauthenticated);
    }
    let text = value.to_str().map_err(|_| UpgradeError::Unauthenticated)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token)),
        _ => Err(UpgradeError::Unauthenticated),
    }
}
