//! A route: an endpoint of the API bound to its handler and its limits.

use actix_web::{Handler, Responder, web};
use sealpost_api::endpoint::{Endpoint, Metadata};

use super::call::{Admission, Call, Reply};
use super::state::Http;
use crate::service::limiter::LimitName;

/// An endpoint of the API with the handler that answers it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The endpoint, with method, path and access.
    pub endpoint: Metadata,
    /// The limits that a call counts against besides [`LimitName::RequestsAddress`], which every call does.
    pub limits: &'static [LimitName],
    /// Binds the handler to a route of actix.
    pub(super) handler: fn(actix_web::Route) -> actix_web::Route,
}

/// Binds a handler to the endpoint whose call it takes and whose response it returns. Any other handler does not compile.
pub(super) fn bind<E, F, R>(route: actix_web::Route, handler: F) -> actix_web::Route
where
    E: Endpoint<Access: Admission>,
    F: Fn(web::Data<Http>, Call<E>) -> R + Clone + 'static,
    R: Future<Output = Reply<E>> + 'static,
{
    route.to(handler)
}

/// Binds a handler whose answer is not a JSON body of the API.
pub(super) fn bind_raw<Args, F>(route: actix_web::Route, handler: F) -> actix_web::Route
where
    Args: actix_web::FromRequest + 'static,
    F: Handler<Args, Output: Responder + 'static>,
{
    route.to(handler)
}

/// Makes a [`Route`]: `route!(Endpoint, [Limits], handler)`. A handler marked `raw` answers with something else than JSON.
macro_rules! route {
    ($endpoint:ty, [$($limit:ident),* $(,)?], $handler:path) => {
        $crate::edge::http::route::route!(@ $endpoint, [$($limit),*],
            |route| $crate::edge::http::route::bind::<$endpoint, _, _>(route, $handler))
    };
    ($endpoint:ty, [$($limit:ident),* $(,)?], raw $handler:path) => {
        $crate::edge::http::route::route!(@ $endpoint, [$($limit),*],
            |route| $crate::edge::http::route::bind_raw(route, $handler))
    };
    (@ $endpoint:ty, [$($limit:ident),*], $bound:expr) => {
        $crate::edge::http::route::Route {
            endpoint: <$endpoint as sealpost_api::endpoint::Endpoint>::METADATA,
            limits: &[$($crate::service::limiter::LimitName::$limit),*],
            handler: $bound,
        }
    };
}

pub(super) use route;
