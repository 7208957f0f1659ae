//! Encodes frames into one buffer, which is written when the stream asks for it.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Encoder as _;
use actix_http::ws::Codec;
use actix_ws::{CloseCode, CloseReason as WsCloseReason, Message};
use bytes::{Bytes, BytesMut};

use super::socket::Socket;
use crate::service::hub::CloseReason;
use crate::service::stream::{Gone, Writer};

/// How long a peer that does not read can delay closing.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of pongs for a peer that floods pings and does not read. Further pings are not answered.
const PONGS_MAX_BYTES: usize = 4096;

/// The writing half of a connection.
pub struct SocketWriter(Rc<Socket>);

/// Adds answers to pings; the reading half calls it.
pub(super) struct Answers(Rc<Socket>);

impl SocketWriter {
    pub(super) const fn new(socket: Rc<Socket>) -> Self {
        Self(socket)
    }

    /// Adds a text message. Text that is not UTF-8 is left out.
    pub fn text(&mut self, text: Bytes) {
        if let Ok(text) = text.try_into() {
            self.encode(Message::Text(text));
        }
    }

    /// Returns another handle of the same connection, for closing it when the first is lost.
    pub(super) fn twin(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    fn encode(&self, message: Message) {
        encode(message, &mut self.0.gathered.borrow_mut().bytes);
    }
}

impl Answers {
    pub(super) const fn new(socket: Rc<Socket>) -> Self {
        Self(socket)
    }

    pub(super) fn pong(&self, payload: Bytes) {
        let mut gathered = self.0.gathered.borrow_mut();
        if gathered.pongs < PONGS_MAX_BYTES {
            gathered.pongs = gathered.pongs.saturating_add(payload.len()).saturating_add(2);
            encode(Message::Pong(payload), &mut gathered.bytes);
        }
    }
}

fn encode(message: Message, bytes: &mut BytesMut) {
    // Encoding fails only for continuations, and none are sent.
    let _never = Codec::new().encode(message, bytes);
}

impl Writer for SocketWriter {
    fn frame(&mut self, frame: &Bytes) {
        self.encode(Message::Binary(frame.clone()));
    }

    fn ping(&mut self) {
        self.encode(Message::Ping(Bytes::new()));
    }

    fn pending(&self) -> usize {
        self.0.pending()
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        poll_fn(|context| self.0.poll_write(context)).await
    }

    async fn close(&mut self, reason: CloseReason) {
        self.encode(Message::Close(Some(WsCloseReason {
            code: CloseCode::from(reason.code()),
            description: Some(reason.as_str().to_owned()),
        })));
        // A peer that does not read does not receive the close frame.
        let _too_slow = tokio::time::timeout(CLOSE_TIMEOUT, self.0.write_all()).await;
    }
}
