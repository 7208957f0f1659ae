//! From frames to the response's body: frames gather in one buffer, which leaves as one chunk when the socket takes it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_codec::Encoder as _;
use actix_http::ws::Codec;
use actix_ws::{CloseCode, CloseReason as WsCloseReason, Message};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;

use crate::service::hub::CloseReason;
use crate::service::stream::{Gone, Writer};

/// The socket's own buffer gets a chunk in parts of this size, as it writes them: it copies each, and keeps the copies of what a
/// peer does not read.
const PART_BYTES: usize = 16 * 1024;
/// How long a peer that does not read may hold up the goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pongs gathered for a peer that floods pings and does not read; more are not answered.
const PONGS_MAX_BYTES: usize = 4096;

/// What both halves see; they run in one thread.
#[derive(Default)]
struct Gathered {
    bytes: BytesMut,
    pongs: usize,
    /// The chunk that the socket is taking. There is one at a time: another would only wait, for what the socket writes it has
    /// taken already.
    chunk: Bytes,
    writers: usize,
    socket_gone: bool,
    /// Waits for a chunk, or for the end.
    socket: Option<Waker>,
    /// Waits for the socket to have taken the chunk.
    writer: Option<Waker>,
}

/// The writing half of a socket.
pub struct SocketWriter(Rc<RefCell<Gathered>>);

/// Answers to pings, written by the reading half.
pub(super) struct Answers(Rc<RefCell<Gathered>>);

/// The body of the upgraded response.
pub(super) struct SocketBody(Rc<RefCell<Gathered>>);

impl SocketWriter {
    pub(super) fn pair() -> (Self, SocketBody) {
        let gathered = Rc::<RefCell<Gathered>>::default();
        (Self::of(&gathered), SocketBody(gathered))
    }

    fn of(gathered: &Rc<RefCell<Gathered>>) -> Self {
        let mut shared = gathered.borrow_mut();
        shared.writers = shared.writers.saturating_add(1);
        Self(Rc::clone(gathered))
    }

    /// Adds a text message; what is not UTF-8 is left out.
    pub fn text(&mut self, text: Bytes) {
        if let Ok(text) = text.try_into() {
            self.encode(Message::Text(text));
        }
    }

    pub(super) fn answers(&self) -> Answers {
        Answers(Rc::clone(&self.0))
    }

    /// Another hand on the same socket, to say goodbye with when the first is lost.
    pub(super) fn twin(&self) -> Self {
        Self::of(&self.0)
    }

    fn encode(&self, message: Message) {
        let mut gathered = self.0.borrow_mut();
        encode(message, &mut gathered.bytes);
    }
}

impl Answers {
    pub(super) fn pong(&self, payload: Bytes) {
        let mut gathered = self.0.borrow_mut();
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
        let gathered = self.0.borrow();
        gathered.bytes.len().saturating_add(gathered.chunk.len())
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        poll_fn(|context| {
            let mut gathered = self.0.borrow_mut();
            if gathered.socket_gone {
                return Poll::Ready(Err(Gone));
            }
            if !gathered.chunk.is_empty() {
                gathered.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            gathered.pongs = 0;
            // The buffer is given away whole, so that an idle socket holds none.
            gathered.chunk = std::mem::take(&mut gathered.bytes).freeze();
            wake(&mut gathered.socket);
            Poll::Ready(Ok(()))
        })
        .await
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

impl Drop for SocketWriter {
    fn drop(&mut self) {
        let mut gathered = self.0.borrow_mut();
        gathered.writers = gathered.writers.saturating_sub(1);
        if gathered.writers == 0 {
            wake(&mut gathered.socket);
        }
    }
}

impl Stream for SocketBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut gathered = self.0.borrow_mut();
        if gathered.chunk.is_empty() {
            if gathered.writers == 0 {
                return Poll::Ready(None);
            }
            gathered.socket = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = gathered.chunk.len().min(PART_BYTES);
        let part = gathered.chunk.split_to(length);
        if gathered.chunk.is_empty() {
            wake(&mut gathered.writer);
        }
        Poll::Ready(Some(Ok(part)))
    }
}

impl Drop for SocketBody {
    fn drop(&mut self) {
        let mut gathered = self.0.borrow_mut();
        gathered.socket_gone = true;
        gathered.chunk = Bytes::new();
        wake(&mut gathered.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
