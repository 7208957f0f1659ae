//! WebSockets: binary messages both ways.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::call::Call;
use super::connect::{Connector, Io};
use super::error::TransportError;
use super::http::retry_after;

/// A server pings every 25 s; one that is silent for longer than two of these is gone, though TCP may not know it yet.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a frame to leave; a dead line otherwise holds it until TCP gives up.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);
/// What is kept of a refusal's body: a problem, which is small.
const REFUSAL_MAX_BYTES: usize = 16 * 1024;

type Socket = WebSocketStream<Box<dyn Io>>;

/// Why there is no socket.
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
pub struct SocketSender(SplitSink<Socket, Message>);

/// The reading half.
pub struct SocketReceiver(SplitStream<Socket>);

impl fmt::Debug for SocketSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SocketSender")
    }
}

impl fmt::Debug for SocketReceiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SocketReceiver")
    }
}

/// Opens a socket at the path of a call, with its headers. Messages of more than `frame_max` bytes end it.
///
/// # Errors
/// [`ConnectError`]
pub async fn open(
    connector: &Connector,
    call: &Call,
    frame_max: usize,
    patience: Duration,
) -> Result<(SocketSender, SocketReceiver), ConnectError> {
    tokio::time::timeout(patience, upgrade(connector, call, frame_max)).await.map_err(|_| TransportError::Timeout)?
}

async fn upgrade(
    connector: &Connector,
    call: &Call,
    frame_max: usize,
) -> Result<(SocketSender, SocketReceiver), ConnectError> {
    let base = connector.base();
    let scheme = if base.is_tls() { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{}{}", base.authority(), call.path())
        .into_client_request()
        .map_err(|_| TransportError::Protocol)?;
    request.headers_mut().extend(call.headers()?);
    let config = WebSocketConfig::default().max_message_size(Some(frame_max)).max_frame_size(Some(frame_max));
    let io = connector.connect().await?;
    match client_async_with_config(request, io, Some(config)).await {
        Ok((socket, _)) => {
            let (sink, stream) = socket.split();
            Ok((SocketSender(sink), SocketReceiver(stream)))
        }
        Err(tungstenite::Error::Http(response)) => {
            let mut body = response.body().clone().unwrap_or_default();
            body.truncate(REFUSAL_MAX_BYTES);
            let retry_after = retry_after(response.headers());
            Err(ConnectError::Refused { status: response.status().as_u16(), retry_after, body })
        }
        Err(tungstenite::Error::Io(error)) => Err(TransportError::from_io(&base.authority(), &error).into()),
        Err(_) => Err(TransportError::Protocol.into()),
    }
}

impl SocketSender {
    /// Sends one binary message.
    ///
    /// # Errors
    /// [`TransportError`]; the socket is of no use any more then.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        match tokio::time::timeout(WRITE_PATIENCE, self.0.send(Message::Binary(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(TransportError::Broken { host: "the stream".to_owned(), reason: error.to_string() }),
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

impl SocketReceiver {
    /// Returns the next thing that comes in. Dropping the future loses nothing.
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
