//! From frames to the response's body: frames gather in one buffer, which leaves as one chunk when the socket takes it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::Encoder as _;
use actix_http::ws::Codec;
use actix_ws::{CloseCode, CloseReason as WsCloseReason, Message};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::service::hub::CloseReason;
use crate::service::stream::{Gone, Writer};

/// Chunks between this half and the socket. More would only wait longer: what the socket writes it has taken already.
const CHUNKS: usize = 1;
/// How long a peer that does not read may hold up the goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pongs gathered for a peer that floods pings and does not read; more are not answered.
const PONGS_MAX_BYTES: usize = 4096;

#[derive(Default)]
struct Gathered {
    bytes: BytesMut,
    pongs: usize,
    /// Bytes that were given away and that the socket has not taken yet.
    given: usize,
}

/// The writing half of a socket.
pub struct SocketWriter {
    gathered: Rc<RefCell<Gathered>>,
    chunks: mpsc::Sender<Bytes>,
}

/// Answers to pings, written by the reading half.
pub(super) struct Answers {
    gathered: Rc<RefCell<Gathered>>,
}

/// The body of the upgraded response.
pub(super) struct SocketBody {
    gathered: Rc<RefCell<Gathered>>,
    chunks: mpsc::Receiver<Bytes>,
}

impl SocketWriter {
    pub(super) fn pair() -> (Self, SocketBody) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let gathered = Rc::<RefCell<Gathered>>::default();
        (Self { gathered: Rc::clone(&gathered), chunks: sender }, SocketBody { gathered, chunks: receiver })
    }

    /// Adds a text message; what is not UTF-8 is left out.
    pub fn text(&mut self, text: Bytes) {
        if let Ok(text) = text.try_into() {
            self.encode(Message::Text(text));
        }
    }

    pub(super) fn answers(&self) -> Answers {
        Answers { gathered: Rc::clone(&self.gathered) }
    }

    /// Another hand on the same socket, to say goodbye with when the first is lost.
    pub(super) fn twin(&self) -> Self {
        Self { gathered: Rc::clone(&self.gathered), chunks: self.chunks.clone() }
    }

    fn encode(&self, message: Message) {
        let mut gathered = self.gathered.borrow_mut();
        encode(message, &mut gathered.bytes);
    }
}

impl Answers {
    pub(super) fn pong(&self, payload: Bytes) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.pongs < PONGS_MAX_BYTES {
            gathered.pongs = gathered.pongs.saturating_add(payload.len()).saturating_add(2);
            encode(Message::Pong(payload), &mut gathered.bytes);
        }
    }
}

fn encode(message: Message, bytes: &mut BytesMut) {
    // Only continuations can fail to encode, and none are sent.
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
        let gathered = self.gathered.borrow();
        gathered.bytes.len().saturating_add(gathered.given)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let place = self.chunks.reserve().await.map_err(|_| Gone)?;
        let mut gathered = self.gathered.borrow_mut();
        gathered.pongs = 0;
        // The buffer is given away whole, so that an idle socket holds none.
        let chunk = std::mem::take(&mut gathered.bytes).freeze();
        if !chunk.is_empty() {
            gathered.given = gathered.given.saturating_add(chunk.len());
            place.send(chunk);
        }
        Ok(())
    }

    async fn close(&mut self, reason: CloseReason) {
        self.encode(Message::Close(Some(WsCloseReason {
            code: CloseCode::from(reason.code()),
            description: Some(reason.as_str().to_owned()),
        })));
        // A peer that does not read does not hear the goodbye; its socket ends when the body does.
        let _too_slow = tokio::time::timeout(CLOSE_TIMEOUT, self.flush()).await;
    }
}

impl Stream for SocketBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.chunks.poll_recv(context);
        if let Poll::Ready(Some(chunk)) = &polled {
            let mut gathered = self.gathered.borrow_mut();
            gathered.given = gathered.given.saturating_sub(chunk.len());
        }
        polled.map(|chunk| chunk.map(Ok))
    }
}
