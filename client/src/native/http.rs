//! HTTP/1.1 requests over kept connections.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use zeroize::Zeroizing;

use super::connect::Connector;
use super::error::TransportError;

/// Largest body of an answer that is read. The largest of the API, an export, stays well below.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Connections kept open for the next request; the engine seldom has more under way.
const KEPT_MAX: usize = 2;

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

type Sender = SendRequest<Full<Bytes>>;

/// A client of one server's API. Requests may run side by side.
pub struct HttpClient {
    connector: Connector,
    kept: Mutex<Vec<Sender>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HttpClient({})", self.connector.base())
    }
}

impl HttpClient {
    /// A client that has no connection yet.
    #[must_use]
    pub const fn new(connector: Connector) -> Self {
        Self { connector, kept: Mutex::new(Vec::new()) }
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
        let body = body.map(Bytes::from_owner);
        tokio::time::timeout(patience, self.exchange(method, path, bearer, body))
            .await
            .map_err(|_| TransportError::Timeout)?
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<Bytes>,
    ) -> Result<HttpResponse, TransportError> {
        while let Some(mut kept) = self.take_kept() {
            if kept.ready().await.is_err() {
                continue;
            }
            let request = self.build(method, path, bearer, body.clone())?;
            if let Ok(response) = kept.send_request(request).await {
                return self.read(kept, response).await;
            }
        }
        let io = self.connector.connect().await?;
        let (mut sender, connection) = handshake(TokioIo::new(io)).await.map_err(|_| TransportError::Protocol)?;
        // Ends with the connection; what it fails with is seen by whoever sends.
        tokio::spawn(connection);
        let request = self.build(method, path, bearer, body)?;
        let response = sender.send_request(request).await.map_err(|error| self.failure(&error))?;
        self.read(sender, response).await
    }

    async fn read(
        &self,
        sender: Sender,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<HttpResponse, TransportError> {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|seconds| seconds.trim().parse().ok());
        let body = Limited::new(response.into_body(), BODY_MAX_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { TransportError::TooLarge } else { self.broken(&error.to_string()) }
        })?;
        self.keep(sender);
        Ok(HttpResponse { status, retry_after, body: body.to_bytes().to_vec() })
    }

    fn build(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, TransportError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| TransportError::Protocol)?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.connector.base().authority());
        if let Some(bearer) = bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| TransportError::Protocol)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default())).map_err(|_| TransportError::Protocol)
    }

    fn failure(&self, error: &hyper::Error) -> TransportError {
        if error.is_parse() { TransportError::Protocol } else { self.broken(&error.to_string()) }
    }

    fn broken(&self, reason: &str) -> TransportError {
        TransportError::Unreachable { host: self.connector.base().authority(), reason: reason.to_owned() }
    }

    fn take_kept(&self) -> Option<Sender> {
        self.kept.lock().ok()?.pop()
    }

    fn keep(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        if let Ok(mut kept) = self.kept.lock()
            && kept.len() < KEPT_MAX
        {
            kept.push(sender);
        }
    }
}
