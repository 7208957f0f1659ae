//! The OpenAPI 3.1 document, made from the handlers and completed from the table of routes.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use sealpost_api::problem::{Problem, ProblemCode};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};

use super::problem::PROBLEM_JSON;
use super::routes::{Auth, ROUTES, Route, Verb};
use super::{accounts, devices, health, prekeys, sessions, stream};

const BEARER: &str = "access_token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sealpost",
        description = "End-to-end encrypted messaging: accounts, devices, prekeys and sessions. \
        Binary values are unpadded base64url. Every state-changing call may be repeated with the same body."
    ),
    paths(
        health::healthz,
        health::readyz,
        health::openapi_json,
        health::server,
        accounts::register,
        accounts::by_name,
        devices::lists,
        prekeys::bundles,
        accounts::current_identity,
        accounts::new_identity,
        accounts::change_password,
        accounts::delete,
        accounts::export,
        devices::publish,
        sessions::log_in,
        sessions::refresh,
        sessions::list,
        sessions::end_all,
        sessions::log_out,
        sessions::end_one,
        prekeys::status,
        prekeys::ids,
        prekeys::upload,
        prekeys::discard,
        stream::stream,
    ),
    components(schemas(Problem))
)]
struct Handlers;

/// The document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Handlers::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    if let Some(components) = document.components.as_mut() {
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    }
    for route in ROUTES {
        let operation = document.paths.paths.get_mut(route.path).and_then(|item| operation(item, route.method));
        if let Some(operation) = operation {
            complete(operation, route);
        }
    }
    document
}

/// The document as it is served: made once.
pub(super) fn text() -> Option<Bytes> {
    static TEXT: LazyLock<Option<Bytes>> = LazyLock::new(|| document().to_json().ok().map(Bytes::from));
    TEXT.clone()
}

fn operation(item: &mut PathItem, method: Verb) -> Option<&mut Operation> {
    match method {
        Verb::Get => item.get.as_mut(),
        Verb::Post => item.post.as_mut(),
        Verb::Put => item.put.as_mut(),
        Verb::Delete => item.delete.as_mut(),
    }
}

/// Adds who may call, and every problem by its status.
fn complete(operation: &mut Operation, route: &Route) {
    let bearer = || SecurityRequirement::new(BEARER, Vec::<String>::new());
    operation.security = match route.auth {
        Auth::Anyone => None,
        Auth::Session => Some(vec![bearer()]),
        Auth::Stream => Some(vec![bearer(), SecurityRequirement::default()]),
    };
    let problems = route.problems();
    let mut statuses: Vec<u16> = problems.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let codes: Vec<&str> =
            problems.iter().filter(|code| code.status() == status).map(|code| ProblemCode::as_str(*code)).collect();
        let schema = Ref::from_schema_name("Problem");
        let response = ResponseBuilder::new()
            .description(codes.join(", "))
            .content(PROBLEM_JSON, ContentBuilder::new().schema(Some(schema)).build())
            .build();
        operation.responses.responses.insert(status.to_string(), response.into());
    }
}
