//! The adapter between actix and the services. A handler decodes, calls one method, and encodes.
//!
//! Endpoints are declared in `sealpost_api`. Each resource's file binds its endpoints to handlers and limits, and the
//! module [`mod@routes`] puts them together. [`app`] builds the whole application for one worker.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};

mod accounts;
mod body;
mod call;
mod devices;
mod field;
mod guard;
mod openapi;
mod pace;
mod prekeys;
mod problem;
mod route;
pub mod routes;
mod server;
mod sessions;
mod state;
mod stream;

#[cfg(fuzzing)]
pub(crate) use body::parse as parse_body;

pub use openapi::document;
pub(crate) use pace::paced;
pub use problem::HttpError;
pub use route::Route;
pub use routes::routes;
pub use state::{BODY_TIMEOUT, Http, HttpSettings};

/// Makes the application: every route, inside the guard that numbers and limits every request and adds headers to every answer.
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
