//! HTTP/1.1 requests over kept connections.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper_util::rt::TokioIo;

use super::call::Call;
use super::connect::Connector;
use super::error::TransportError;

/// Connections kept open for the next request; a client seldom has more requests under way.
const KEPT_MAX: usize = 2;

/// An answer of the server, of any status.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// At most as long as the client reads.
    pub body: Bytes,
}

impl Answer {
    /// Returns the `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        retry_after(&self.headers)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// A client of one server. Requests may run side by side.
pub struct HttpClient {
    connector: Connector,
    body_max: usize,
    kept: Mutex<Vec<Sender>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HttpClient({})", self.connector.base())
    }
}

impl HttpClient {
    /// Returns a client that has no connection yet, and reads bodies of at most `body_max` bytes.
    #[must_use]
    pub const fn new(connector: Connector, body_max: usize) -> Self {
        Self { connector, body_max, kept: Mutex::new(Vec::new()) }
    }

    /// Sends a request and reads its answer.
    ///
    /// A kept connection that turns out to be dead before anything was answered is replaced, and the request sent once
    /// more. Ask only for what may be repeated.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn request(&self, call: &Call, patience: Duration) -> Result<Answer, TransportError> {
        tokio::time::timeout(patience, self.exchange(call)).await.map_err(|_| TransportError::Timeout)?
    }

    /// Opens a connection for the next request, so that a measure of it holds the request alone.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn connect_ahead(&self) -> Result<(), TransportError> {
        let sender = self.open().await?;
        self.keep(sender);
        Ok(())
    }

    async fn open(&self) -> Result<Sender, TransportError> {
        let io = self.connector.connect().await?;
        let (sender, connection) = handshake(TokioIo::new(io)).await.map_err(|_| TransportError::Protocol)?;
        // Ends with the connection. The sender reports its failure.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, TransportError> {
        while let Some(mut kept) = self.take_kept() {
            if kept.ready().await.is_err() {
                continue;
            }
            if let Ok(response) = kept.send_request(self.build(call)?).await {
                return self.read(kept, response).await;
            }
        }
        let mut sender = self.open().await?;
        let response = sender.send_request(self.build(call)?).await.map_err(|error| self.failure(&error))?;
        self.read(sender, response).await
    }

    async fn read(
        &self,
        sender: Sender,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Answer, TransportError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.body_max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { TransportError::TooLarge } else { self.broken(&error.to_string()) }
        })?;
        self.keep(sender);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }

    fn build(&self, call: &Call) -> Result<hyper::Request<Full<Bytes>>, TransportError> {
        let host = HeaderValue::try_from(self.connector.base().authority()).map_err(|_| TransportError::Protocol)?;
        let mut request = call.request(Full::new(call.body()))?;
        request.headers_mut().insert(HOST, host);
        Ok(request)
    }

    fn failure(&self, error: &hyper::Error) -> TransportError {
        if error.is_parse() { TransportError::Protocol } else { self.broken(&error.to_string()) }
    }

    fn broken(&self, reason: &str) -> TransportError {
        TransportError::Broken { host: self.connector.base().authority(), reason: reason.to_owned() }
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

/// Reads the `Retry-After` header, in seconds.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
