//! The WebSocket `GET /v1/stream`: binary messages both ways.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sealpost_api::limits::FRAME_MAX_BYTES;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, RETRY_AFTER};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::connect::{Connector, Io};
use super::error::TransportError;

/// A server pings every 25 s; one that is silent for longer than two of these is gone, though TCP may not know it yet.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a frame to leave; a dead line otherwise holds it until TCP gives up.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);
/// What is kept of a refusal's body: a problem, which is small.
const REFUSAL_MAX_BYTES: usize = 16 * 1024;

type Socket = WebSocketStream<Box<dyn Io>>;

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The network failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server answered with another status than *switching protocols*.
    #[error("the server refused the stream with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
        /// The problem body, cut at 16 KiB.
        body: Vec<u8>,
    },
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// One binary message.
    Frame(Bytes),
    /// The end, with the close frame's code if there was one. Nothing comes after it.
    Closed {
        /// For example 4409.
        code: Option<u16>,
    },
}

/// The writing half.
pub struct StreamSender(SplitSink<Socket, Message>);

/// The reading half.
pub struct StreamReceiver(SplitStream<Socket>);

impl fmt::Debug for StreamSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StreamSender")
    }
}

impl fmt::Debug for StreamReceiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StreamReceiver")
    }
}

/// Opens the stream.
///
/// # Errors
/// [`ConnectError`]
pub async fn connect(
    connector: &Connector,
    bearer: Option<&str>,
    patience: Duration,
) -> Result<(StreamSender, StreamReceiver), ConnectError> {
    tokio::time::timeout(patience, open(connector, bearer)).await.map_err(|_| TransportError::Timeout)?
}

async fn open(connector: &Connector, bearer: Option<&str>) -> Result<(StreamSender, StreamReceiver), ConnectError> {
    let base = connector.base();
    let scheme = if base.is_tls() { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{}/v1/stream", base.authority())
        .into_client_request()
        .map_err(|_| TransportError::Protocol)?;
    if let Some(bearer) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| TransportError::Protocol)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let config =
        WebSocketConfig::default().max_message_size(Some(FRAME_MAX_BYTES)).max_frame_size(Some(FRAME_MAX_BYTES));
    let io = connector.connect().await?;
    match client_async_with_config(request, io, Some(config)).await {
        Ok((socket, _)) => {
            let (sink, stream) = socket.split();
            Ok((StreamSender(sink), StreamReceiver(stream)))
        }
        Err(tungstenite::Error::Http(response)) => {
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|seconds| seconds.trim().parse().ok());
            let mut body = response.body().clone().unwrap_or_default();
            body.truncate(REFUSAL_MAX_BYTES);
            Err(ConnectError::Refused { status: response.status().as_u16(), retry_after, body })
        }
        Err(tungstenite::Error::Io(error)) => Err(TransportError::from_io(&base.authority(), &error).into()),
        Err(_) => Err(TransportError::Protocol.into()),
    }
}

impl StreamSender {
    /// Sends one binary message.
    ///
    /// # Errors
    /// [`TransportError`]; the stream is of no use any more then.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        match tokio::time::timeout(WRITE_PATIENCE, self.0.send(Message::Binary(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(TransportError::Unreachable { host: "the stream".to_owned(), reason: error.to_string() })
            }
            Err(_) => Err(TransportError::Timeout),
        }
    }

    /// Says goodbye (code 1000). The receiver then ends.
    pub async fn close(&mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // A line that is dead already needs no goodbye.
        let _ = tokio::time::timeout(WRITE_PATIENCE, self.0.send(Message::Close(Some(goodbye)))).await;
    }
}

impl StreamReceiver {
    /// The next thing that comes in. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Received {
        loop {
            let Ok(message) = tokio::time::timeout(SILENCE_MAX, self.0.next()).await else {
                return Received::Closed { code: None };
            };
            match message {
                Some(Ok(Message::Binary(frame))) => return Received::Frame(frame),
                Some(Ok(Message::Close(frame))) => {
                    return Received::Closed { code: frame.map(|frame| u16::from(frame.code)) };
                }
                // Pings are answered by the library while it reads; a server sends no text.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Closed { code: None },
            }
        }
    }
}
