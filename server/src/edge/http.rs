//! The adapter between actix and the services: decode, call one method, encode.
//!
//! [`routes`] is the one table of what there is; the server, the OpenAPI document and the tests are made from it.
//! [`app`] builds the whole application for one worker.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};

use crate::base::config::TrustedProxies;
use crate::edge::ws::OriginPolicy;
use crate::service::Services;
use crate::service::places::Places;

mod accounts;
mod body;
mod caller;
mod devices;
mod guard;
mod health;
mod openapi;
mod pace;
mod path;
mod prekeys;
mod problem;
pub mod routes;
mod sessions;
mod stream;

#[cfg(fuzzing)]
pub(crate) use body::parse as parse_body;

pub use openapi::document;
pub(crate) use pace::paced;
pub use problem::HttpError;
pub use routes::{Auth, ROUTES, Route};

/// A body must have arrived within this time: actix's own time-out ends with the head. With the time that a refused
/// connection lingers it is 10 s, after which a sender that crawls is cut off.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(8);

/// What the adapter itself needs to know.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Whether clients reach this server by TLS, so that they may be told to insist on it.
    pub tls: bool,
    /// Proxies in front that name the client in the last entry of `X-Forwarded-For`. From anyone else the header is ignored,
    /// or every client could choose the address that its limits count for.
    pub trusted_proxies: TrustedProxies,
    /// Within this time a body must have arrived.
    pub body_timeout: Duration,
    /// Pages that may open the stream.
    pub origins: OriginPolicy,
}

/// The services and the adapter's settings, shared by all workers.
pub struct Http {
    services: Services,
    settings: HttpSettings,
    streams: Arc<Places>,
}

impl Http {
    /// Puts them together. Streams have [`with_streams`](Self::with_streams) to be limited.
    #[must_use]
    pub fn new(services: Services, settings: HttpSettings) -> Self {
        Self { services, settings, streams: Places::new(usize::MAX) }
    }

    /// Takes the places that streams have from here.
    #[must_use]
    pub fn with_streams(self, streams: Arc<Places>) -> Self {
        Self { streams, ..self }
    }
}

/// The application: every route, and the guard around them that numbers, limits and dresses every answer.
pub fn app(
    http: web::Data<Http>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    App::new()
        .app_data(http)
        .wrap(from_fn(guard::guard))
        .configure(routes::configure)
        .default_service(web::to(problem::not_found))
}
