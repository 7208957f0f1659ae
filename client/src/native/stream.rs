//! The WebSocket `GET /v1/stream`: binary messages both ways.

use std::time::Duration;

use sealpost_api::endpoint::Endpoint as _;
use sealpost_api::limits::FRAME_MAX_BYTES;
use sealpost_api::stream::OpenStream;
use sealpost_transport::{Call, Connector, socket};

pub use sealpost_transport::socket::{
    ConnectError, Received, SocketReceiver as StreamReceiver, SocketSender as StreamSender,
};

/// Opens the stream.
///
/// # Errors
/// [`ConnectError`]
pub async fn connect(
    connector: &Connector,
    bearer: Option<&str>,
    patience: Duration,
) -> Result<(StreamSender, StreamReceiver), ConnectError> {
    let mut call = Call::new("GET", &OpenStream {}.path());
    if let Some(bearer) = bearer {
        call = call.bearer(bearer);
    }
    socket::open(connector, &call, FRAME_MAX_BYTES, patience).await
}
