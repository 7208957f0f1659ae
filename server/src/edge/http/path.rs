//! Ids in paths and numbers in queries.

use actix_web::HttpRequest;
use sealpost_api::encoding::{B64, Binary};
use sealpost_api::problem::ProblemCode;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use super::HttpError;

/// The base64url id in the path's part of this name.
pub(super) fn id<T: Binary>(request: &HttpRequest, name: &str) -> Result<T, HttpError> {
    let text = request.match_info().get(name).unwrap_or_default();
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    B64::deserialize(text).map(|value| value.0).map_err(|_| ProblemCode::MalformedRequest.into())
}

/// The query's `after`, if there is one; nothing else may be asked for.
pub(super) fn after(request: &HttpRequest) -> Result<Option<u64>, HttpError> {
    let query = request.query_string();
    if query.is_empty() {
        return Ok(None);
    }
    let digits = query.strip_prefix("after=").filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ProblemCode::MalformedRequest.into())
}
