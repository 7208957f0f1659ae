//! Finds which field of a body is wrong, in the API's own names.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::openapi::document;

/// Returns a JSON pointer to the field that makes a body not a `T`; `None` where that is the body as a whole.
///
/// Reads the body a second time, which keeps the cost off those that are right. A name that the API does not have never gets
/// into the pointer: an unknown field is reported by the object that holds it.
pub(super) fn wrong_field<T: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } if KNOWN.contains(key) => push(&mut pointer, key),
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    if let Some(name) = named_by(&error.inner().to_string()).filter(|name| KNOWN.contains(*name)) {
        push(&mut pointer, name);
    }
    (!pointer.is_empty()).then_some(pointer)
}

/// The name of every field in the API's bodies.
static KNOWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let schemas = document().components.map(|components| components.schemas).unwrap_or_default();
    let objects = schemas.into_values().filter_map(|schema| match schema {
        RefOr::T(Schema::Object(object)) => Some(object.properties),
        _ => None,
    });
    objects.flat_map(|properties| properties.into_keys()).collect()
});

/// Returns the field that serde's own message names. Such a field is not part of the path, because it has no value.
fn named_by(message: &str) -> Option<&str> {
    let after = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("duplicate field `"))?;
    after.split_once('`').map(|(name, _)| name)
}

/// Adds a part to the pointer. The API's names hold neither `~` nor `/`, which would have to be escaped.
fn push(pointer: &mut String, part: &str) {
    pointer.push('/');
    pointer.push_str(part);
}

#[cfg(test)]
mod tests {
    use sealpost_api::prekeys::{TakeBundlesRequest, UploadPrekeysRequest};

    use super::*;

    fn in_upload(text: &str) -> Option<String> {
        wrong_field::<UploadPrekeysRequest>(text.as_bytes())
    }

    #[test]
    fn the_field_that_is_wrong_is_pointed_at() {
        let key = "A".repeat(43);
        assert_eq!(in_upload(r#"{"key_epoch":"1"}"#).as_deref(), Some("/key_epoch"));
        assert_eq!(in_upload(r#"{"key_epoch":1}"#).as_deref(), Some("/one_time_prekeys"));
        assert_eq!(in_upload(r#"{"key_epoch":1,"key_epoch":2}"#).as_deref(), Some("/key_epoch"));
        let second = format!(r#"{{"key_epoch":1,"one_time_prekeys":[{{"id":1,"key":"{key}"}},{{"id":-2}}]}}"#);
        assert!(in_upload(&second).is_some_and(|field| field.starts_with("/one_time_prekeys/")), "{second}");
        let devices = wrong_field::<TakeBundlesRequest>(br#"{"devices":[1,2,"3"]}"#);
        assert_eq!(devices.as_deref(), Some("/devices/2"));
    }

    #[test]
    fn a_name_that_was_sent_is_not_sent_back() {
        assert_eq!(in_upload(r#"{"secret":1}"#), None);
        assert_eq!(in_upload(r#"{"missing field `key_epoch`":1}"#), None);
        assert_eq!(
            in_upload(r#"{"key_epoch":1,"one_time_prekeys":[{"secret":1}]}"#).as_deref(),
            Some("/one_time_prekeys/0")
        );
    }
}
