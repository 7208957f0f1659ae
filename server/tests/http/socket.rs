//! A stream's socket, as a client has it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sealpost_api::frames::{ClientFrame, ServerFrame};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::server::TestServer;

/// Far longer than anything takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens a stream, with this access token in the header if there is one.
    pub(super) async fn open(server: &TestServer, token: Option<&str>) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut request = format!("ws://{}/v1/stream", server.address).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        Self(tokio_tungstenite::client_async(request, stream).await.unwrap().0)
    }

    pub(super) async fn put(&mut self, frame: ClientFrame) {
        self.0.send(Message::Binary(frame.encode())).await.unwrap();
    }

    /// The next frame, or the close code.
    pub(super) async fn next(&mut self) -> Result<ServerFrame, Option<u16>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the server said nothing") {
                Some(Ok(Message::Binary(bytes))) => return Ok(ServerFrame::decode(bytes).unwrap()),
                Some(Ok(Message::Close(reason))) => return Err(reason.map(|reason| u16::from(reason.code))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads until it is closed, and says with what code.
    pub(super) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}
