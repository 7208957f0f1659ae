//! The OpenAPI document as this server serves it.

use std::sync::LazyLock;

use actix_web::web::Bytes;

/// Returns the document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    sealpost_api::openapi::document(env!("CARGO_PKG_VERSION"))
}

/// Returns the document's text, which is made once; `None` when it cannot be written.
pub(super) fn text() -> Option<Bytes> {
    static TEXT: LazyLock<Option<Bytes>> = LazyLock::new(|| document().to_json().ok().map(Bytes::from));
    TEXT.clone()
}
