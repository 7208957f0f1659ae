//! Errors as they leave: RFC 9457 bodies whose text comes from the one table.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use sealpost_api::problem::{Problem, ProblemClass, ProblemCode};
use sealpost_sabotage::{Countermeasure, without};

use crate::edge::ws::UpgradeError;
use crate::service::ServiceError;

pub(super) use sealpost_api::openapi::PROBLEM_JSON;

/// A service's error, on its way to a response.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpError(#[from] pub ServiceError);

impl HttpError {
    /// Refuses an argument in the path or the query; `None` where the query holds something that is no argument.
    pub(super) fn malformed_argument(name: Option<&'static str>) -> Self {
        Self(ServiceError::new(ProblemCode::MalformedRequest).with_field(name.map(str::to_owned)))
    }
}

impl From<ProblemCode> for HttpError {
    fn from(code: ProblemCode) -> Self {
        Self(ServiceError::new(code))
    }
}

impl From<UpgradeError> for HttpError {
    fn from(error: UpgradeError) -> Self {
        Self(ServiceError::new(error.code()))
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        status(self.0.code)
    }

    /// Makes a response without a request id. Only the guard knows the id, and renders the error again with it.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        render(&self.0, None)
    }
}

fn status(code: ProblemCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Makes the response to an error. A 5xx body holds nothing but the code, its text and the request id.
pub(super) fn render(error: &ServiceError, request_id: Option<&str>) -> HttpResponse<BoxBody> {
    let mut problem = Problem::new(error.code);
    problem.request_id = request_id.map(str::to_owned);
    problem.retry_after = error.retry_after;
    if error.code.class() != ProblemClass::Server {
        problem.prekey_id = error.prekey_id;
        problem.detail = error.detail.map(str::to_owned);
        problem.field.clone_from(&error.field);
    } else {
        problem.detail = planted_cause(error);
    }
    let mut response = HttpResponseBuilder::new(status(error.code));
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
    if let Some(millis) = error.retry_after {
        // Rounded up: a retry at that second succeeds.
        response.insert_header((RETRY_AFTER, millis.div_ceil(1_000)));
    }
    response.json(&problem)
}

/// Returns the code for a response that actix itself made.
pub(super) fn code_of(status: StatusCode) -> ProblemCode {
    match status {
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemCode::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => ProblemCode::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::UnsupportedMediaType,
        status if status.is_client_error() => ProblemCode::MalformedRequest,
        _ => ProblemCode::Internal,
    }
}

/// Answers every path that the API does not have.
pub(super) async fn not_found() -> Result<HttpResponse, HttpError> {
    Err(ProblemCode::NotFound.into())
}

/// Answers every method that a path does not have, with the list of those that it has (RFC 9110 §15.5.6).
pub(super) fn method_not_allowed(allow: &str) -> HttpResponse {
    let mut response = HttpResponse::from_error(HttpError::from(ProblemCode::MethodNotAllowed));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Names the cause in a build that leaves the countermeasure out.
fn planted_cause(error: &ServiceError) -> Option<String> {
    if without(Countermeasure::ClosedErrors) { error.source.as_ref().map(ToString::to_string) } else { None }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;

    use super::*;

    fn text(error: &ServiceError) -> String {
        let body = render(error, Some("00ff")).into_body().try_into_bytes().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn threat_59_a_5xx_body_says_only_code_and_request_id() {
        let secret = std::io::Error::other("UNIQUE constraint failed: accounts.username = alice");
        let error = ServiceError { prekey_id: Some(7), ..ServiceError::internal(secret).with_detail("more") };
        let error = error.with_field(Some("/username".to_owned()));
        assert_eq!(
            text(&error),
            "{\"type\":\"urn:sealpost:problem:internal\",\"title\":\"Something went wrong on the server.\",\"status\":500,\
             \"code\":\"internal\",\"request_id\":\"00ff\"}"
        );
    }

    #[test]
    fn a_retry_is_named_in_ms_in_the_body_and_rounded_up_to_seconds_in_the_header() {
        let error = ServiceError::rate_limited(1_001);
        assert_eq!(render(&error, None).headers().get(RETRY_AFTER).unwrap(), "2");
        assert!(text(&error).contains("\"retry_after\":1001"));
    }
}
