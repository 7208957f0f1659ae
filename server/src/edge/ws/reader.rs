//! Decodes bytes into whole messages.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame};
use actix_ws::{Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use sealpost_api::limits::FRAME_MAX_BYTES;
use sealpost_sabotage::{Countermeasure, refuses};

use super::socket::Socket;
use super::writer::Answers;
use crate::service::hub::CloseReason;
use crate::service::stream::{Incoming, Reader};

/// The most fragments of one message: enough for any reasonable sender, and no endless stream of empty ones.
const FRAGMENTS_MAX: usize = 100;

/// The limits of what a peer can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// The most bytes of one message, in one frame or in fragments.
    pub message_bytes: usize,
    /// The most fragments of one message.
    pub fragments: usize,
    /// Whether text messages are accepted. The stream has none.
    pub text: bool,
}

impl SocketLimits {
    /// The stream's own.
    pub const STREAM: Self = Self { message_bytes: FRAME_MAX_BYTES, fragments: FRAGMENTS_MAX, text: false };
}

/// A message from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole text message, valid UTF-8.
    Text(Bytes),
    /// Anything else.
    Other(Incoming),
}

/// The reading half of a connection.
pub struct SocketReader {
    socket: Rc<Socket>,
    answers: Answers,
    limits: SocketLimits,
    codec: Codec,
    buffer: BytesMut,
    partial: Option<Partial>,
    ended: bool,
}

/// A message whose fragments are still coming.
#[derive(Default)]
struct Partial {
    bytes: BytesMut,
    fragments: usize,
    text: bool,
}

impl SocketReader {
    /// Creates a reader. `buffer` contains bytes that were read already.
    pub(super) fn new(socket: Rc<Socket>, answers: Answers, limits: SocketLimits, buffer: BytesMut) -> Self {
        Self {
            socket,
            answers,
            limits,
            codec: Codec::new().max_size(limits.message_bytes),
            buffer,
            partial: None,
            ended: false,
        }
    }

    /// Waits for the next message, including text. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Received {
        poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            if let Some(received) = self.decode() {
                return Poll::Ready(received);
            }
            if self.buffer.is_empty() {
                // Messages can still be slices of the last buffer, and an idle connection holds no buffer.
                self.buffer = BytesMut::new();
            }
            if ready!(self.socket.poll_read(context, &mut self.buffer)) == 0 {
                self.ended = true;
                return Poll::Ready(Received::Other(Incoming::Gone));
            }
        }
    }

    /// Decodes the next message in the buffer.
    fn decode(&mut self) -> Option<Received> {
        if self.ended {
            return Some(Received::Other(Incoming::Gone));
        }
        loop {
            // The codec checks the length only when the whole frame is there; until then it would keep all of it.
            let too_large = declared(&self.buffer).is_some_and(|length| self.is_too_large(length));
            if refuses(Countermeasure::MessageLimits, too_large) {
                return Some(self.end(CloseReason::TooLarge));
            }
            let frame = match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) if refuses(Countermeasure::FrameRules, true) => return Some(self.end(violation(&error))),
                Err(_) => return None,
            };
            let other = match frame {
                Frame::Binary(bytes) => Incoming::Frame(bytes),
                Frame::Text(bytes) => return Some(self.text(bytes)),
                Frame::Continuation(item) => match self.fragment(item) {
                    Some(received) => return Some(received),
                    None => continue,
                },
                Frame::Ping(payload) => {
                    self.answers.pong(payload);
                    Incoming::Alive
                }
                Frame::Pong(_) => Incoming::Alive,
                Frame::Close(_) => {
                    self.ended = true;
                    Incoming::Gone
                }
            };
            return Some(Received::Other(other));
        }
    }

    fn is_too_large(&self, length: u64) -> bool {
        usize::try_from(length).map_or(true, |length| length > self.limits.message_bytes)
    }

    fn fragment(&mut self, item: Item) -> Option<Received> {
        let (bytes, last) = match item {
            Item::FirstText(bytes) => {
                if !self.limits.text {
                    return Some(self.end(CloseReason::Protocol));
                }
                self.partial = Some(Partial { text: true, ..Partial::default() });
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.partial = Some(Partial::default());
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(partial) = &mut self.partial else { return Some(self.end(CloseReason::WebSocket)) };
        partial.fragments = partial.fragments.saturating_add(1);
        let size = partial.bytes.len().saturating_add(bytes.len());
        let too_large = size > self.limits.message_bytes || partial.fragments > self.limits.fragments;
        if refuses(Countermeasure::MessageLimits, too_large) {
            return Some(self.end(CloseReason::TooLarge));
        }
        partial.bytes.extend_from_slice(&bytes);
        if !last {
            return None;
        }
        let Partial { bytes, text, .. } = self.partial.take()?;
        let whole = bytes.freeze();
        Some(if text { self.text(whole) } else { Received::Other(Incoming::Frame(whole)) })
    }

    /// Refuses a text message: text must be UTF-8 (RFC 6455 §8.1), and the stream has none.
    fn text(&mut self, bytes: Bytes) -> Received {
        if !self.limits.text {
            return self.end(CloseReason::Protocol);
        }
        if refuses(Countermeasure::FrameRules, str::from_utf8(&bytes).is_err()) {
            return self.end(CloseReason::WebSocket);
        }
        Received::Text(bytes)
    }

    fn end(&mut self, reason: CloseReason) -> Received {
        self.ended = true;
        self.buffer.clear();
        self.partial = None;
        Received::Other(Incoming::Violation(reason))
    }
}

impl Received {
    fn of_the_stream(self) -> Incoming {
        match self {
            Self::Text(_) => Incoming::Violation(CloseReason::Protocol),
            Self::Other(incoming) => incoming,
        }
    }
}

impl Reader for SocketReader {
    async fn next(&mut self) -> Incoming {
        self.receive().await.of_the_stream()
    }

    fn ready(&mut self) -> Option<Incoming> {
        self.decode().map(Received::of_the_stream)
    }
}

/// Returns the length that the head of the next frame declares, once enough of the head is there (RFC 6455 §5.2).
fn declared(head: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = head else { return None };
    match second & 0x7f {
        126 => rest.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length))),
        127 => rest.first_chunk().map(|length| u64::from_be_bytes(*length)),
        short => Some(u64::from(short)),
    }
}

const fn violation(error: &ProtocolError) -> CloseReason {
    match error {
        ProtocolError::Overflow => CloseReason::TooLarge,
        _ => CloseReason::WebSocket,
    }
}
