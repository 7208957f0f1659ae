//! A stream that was opened by hand.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind, ServerFrame};
use sealpost_api::ids::MessageNumber;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{Io, PATIENCE, Person};

pub(crate) struct Socket {
    pub(super) socket: WebSocketStream<Box<dyn Io>>,
}

impl Socket {
    pub(crate) async fn put(&mut self, frame: ClientFrame) {
        self.socket.send(Message::Binary(frame.encode())).await.unwrap();
    }

    /// Fails when the connection has ended.
    pub(crate) async fn try_put(&mut self, frame: ClientFrame) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        self.socket.send(Message::Binary(frame.encode())).await
    }

    /// Says goodbye and waits for the server's, unless the connection has ended or ends.
    pub(crate) async fn try_close(&mut self) {
        let goodbye = async {
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _in_vain = tokio::time::timeout(PATIENCE, goodbye).await;
    }

    pub(crate) async fn send(&mut self, number: u64, to: &Person, text: &str) {
        self.try_send(number, to, text).await.unwrap();
    }

    /// Fails when the connection has ended.
    pub(crate) async fn try_send(
        &mut self,
        number: u64,
        to: &Person,
        text: &str,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        let copy = Copy {
            device: to.address.device,
            registration: to.address.registration,
            ciphertext: Bytes::copy_from_slice(text.as_bytes()),
        };
        let send =
            Send { number: MessageNumber(number), to: to.address.account, kind: SendKind::Message, copies: vec![copy] };
        self.socket.send(Message::Binary(ClientFrame::Send(send).encode())).await
    }

    /// Says goodbye and waits for the server's, so that it has read everything before.
    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Bytes as they are. Whether the server took them.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> bool {
        let stream = self.socket.get_mut();
        stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
    }

    /// Waits for the end of the socket: its close code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// The next frame, or the close code.
    pub(crate) async fn next(&mut self) -> Result<ServerFrame, Option<u16>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server said nothing") {
                Some(Ok(Message::Binary(bytes))) => return Ok(ServerFrame::decode(bytes).unwrap()),
                Some(Ok(Message::Close(reason))) => return Err(reason.map(|reason| u16::from(reason.code))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> ServerFrame {
        self.next().await.unwrap()
    }
}
