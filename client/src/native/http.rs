//! Calls of the API over HTTP.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use sealpost_transport::{Call, Connector, TransportError};
use zeroize::Zeroizing;

/// Largest body of an answer that is read. The largest of the API, an export, stays well below.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An answer of the server, of any status.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
    /// At most 4 MiB.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

/// A client of one server's API. Requests may run side by side.
#[derive(Debug)]
pub struct HttpClient(sealpost_transport::HttpClient);

impl HttpClient {
    /// Returns a client that has no connection yet.
    #[must_use]
    pub const fn new(connector: Connector) -> Self {
        Self(sealpost_transport::HttpClient::new(connector, BODY_MAX_BYTES))
    }

    /// Sends a request and reads its answer. `body` is JSON, and is wiped once it was sent.
    ///
    /// A kept connection that turns out to be dead before anything was answered is replaced, and the request sent once
    /// more: every call of the API may be repeated.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<Zeroizing<Vec<u8>>>,
        patience: Duration,
    ) -> Result<HttpResponse, TransportError> {
        let mut call = Call::new(method, path);
        if let Some(bearer) = bearer {
            call = call.bearer(bearer);
        }
        if let Some(body) = body {
            call = call.json(Bytes::from_owner(body));
        }
        let answer = self.0.request(&call, patience).await?;
        Ok(HttpResponse { status: answer.status, retry_after: answer.retry_after(), body: answer.body.to_vec() })
    }
}
