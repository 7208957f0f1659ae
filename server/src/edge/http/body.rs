//! Reads JSON bodies strictly: plain `application/json`, bounded in bytes, time and depth, and each known field at most once.
//!
//! Depth needs no counter of its own: the API's types are three levels deep, an unknown field is refused before its value is
//! read, and `serde_json` stops at 128 levels where it skips a value.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use futures_util::StreamExt as _;
use sealpost_api::limits::BODY_MAX_BYTES;
use sealpost_api::problem::ProblemCode;
use sealpost_sabotage::{Countermeasure, holds, or_planted, refuses};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::field::wrong_field;
use super::problem::HttpError;
use crate::service::ServiceError;

/// Refuses any content but plain JSON, before a byte of the body is read.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), HttpError> {
    let plain = headers.get_all(CONTENT_TYPE).count() == 1
        && headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(is_json)
        // A small compressed body could become a large one, so nothing is ever decompressed.
        && holds(Countermeasure::PlainBodies, !headers.contains_key(CONTENT_ENCODING));
    if !plain {
        return Err(ProblemCode::UnsupportedMediaType.into());
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large = length.is_some_and(|length| length > BODY_MAX_BYTES);
    if refuses(Countermeasure::BodyLimit, too_large) {
        return Err(ProblemCode::BodyTooLarge.into());
    }
    Ok(())
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

/// Reads the whole body within the time-out, and parses it.
pub(super) async fn read<T: DeserializeOwned>(payload: Payload, timeout: Duration) -> Result<T, HttpError> {
    let timeout = or_planted(Countermeasure::BodyTimeout, timeout, Duration::MAX);
    let bytes = actix_web::rt::time::timeout(timeout, collect(payload))
        .await
        .map_err(|_| HttpError::from(ProblemCode::RequestTimeout))??;
    parse(&bytes)
}

/// Collects the body's bytes. They are wiped when dropped, because they may hold a password.
async fn collect(mut payload: Payload) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => HttpError::from(ProblemCode::BodyTooLarge),
            error => HttpError(ServiceError::new(ProblemCode::MalformedBody).with_source(error)),
        })?;
        let too_large = bytes.len().saturating_add(chunk.len()) > BODY_MAX_BYTES;
        if refuses(Countermeasure::BodyLimit, too_large) {
            return Err(ProblemCode::BodyTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Parses a body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    let malformed = |detail| HttpError(ServiceError::new(ProblemCode::MalformedBody).with_detail(detail));
    // An array would pass for a structure whose fields are in order; the API has none.
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !holds(Countermeasure::ObjectBodies, is_object) {
        return Err(malformed("The body is not a JSON object."));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The library's own text may quote the body.
        if error.classify() != serde_json::error::Category::Data {
            return malformed("The body is not JSON.");
        }
        let HttpError(error) = malformed("A field is missing, unknown, given twice, or does not hold what it should.");
        HttpError(error.with_field(wrong_field::<T>(bytes)))
    })
}

#[cfg(test)]
mod tests {
    use sealpost_api::devices::PublishDeviceListRequest;
    use sealpost_api::prekeys::TakeBundlesRequest;

    use super::*;

    fn code<T: DeserializeOwned>(text: &str) -> Option<ProblemCode> {
        parse::<T>(text.as_bytes()).err().map(|error| error.0.code)
    }

    #[test]
    fn only_objects_with_each_known_field_once_are_bodies() {
        assert_eq!(code::<TakeBundlesRequest>(" {} "), None);
        assert_eq!(code::<TakeBundlesRequest>(r#"{"devices":[1,2]}"#), None);
        for text in [
            "",
            " ",
            "[]",
            "[[1]]",
            "null",
            "\"x\"",
            "{",
            "{}{}",
            "{} x",
            r#"{"devices":[1],"devices":[2]}"#,
            r#"{"devices":[1],"more":1}"#,
            r#"{"devices":{"$gt":""}}"#,
            r#"{"devices":[1.5]}"#,
            r#"{"devices":[-1]}"#,
            r#"{"devices":[256]}"#,
            r#"{"devices":["1"]}"#,
            "{\"devices\":[1]}\0",
        ] {
            assert_eq!(code::<TakeBundlesRequest>(text), Some(ProblemCode::MalformedBody), "{text}");
        }
    }

    #[test]
    fn depth_and_length_cost_little() {
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(code::<PublishDeviceListRequest>(&deep), Some(ProblemCode::MalformedBody));
        let wide = format!("{{{}\"x\":1}}", "\"x\":1,".repeat(20_000));
        assert_eq!(code::<PublishDeviceListRequest>(&wide), Some(ProblemCode::MalformedBody));
        let nested = format!("{{\"device_list\":\"\",\"added\":{}", "[".repeat(100_000));
        assert_eq!(code::<PublishDeviceListRequest>(&nested), Some(ProblemCode::MalformedBody));
    }

    #[test]
    fn only_plain_json_is_read() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=UTF-8"));
        for kind in
            ["text/plain", "application/json; charset=latin1", "application/problem+json", "application/jsonp", ""]
        {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
