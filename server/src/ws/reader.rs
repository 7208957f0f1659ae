//! From the request's payload to whole messages.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame};
use actix_web::web::Payload;
use actix_ws::{Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use futures_util::Stream as _;
use sealpost_api::limits::FRAME_MAX_BYTES;

use super::writer::Answers;
use crate::service::hub::CloseReason;
use crate::service::stream::{Incoming, Reader};

/// Fragments of one message: what any sane sender needs, and no endless stream of empty ones.
const FRAGMENTS_MAX: usize = 100;

/// The reading half of a socket.
pub(super) struct SocketReader {
    payload: Payload,
    answers: Answers,
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
}

impl SocketReader {
    pub(super) fn new(payload: Payload, answers: Answers) -> Self {
        Self {
            payload,
            answers,
            codec: Codec::new().max_size(FRAME_MAX_BYTES),
            buffer: BytesMut::new(),
            partial: None,
            ended: false,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            if let Some(incoming) = self.decode() {
                return Poll::Ready(incoming);
            }
            match Pin::new(&mut self.payload).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) if self.buffer.is_empty() => {
                    // The payload's own buffer is taken over: frames are slices of it and nothing is copied.
                    self.buffer = chunk.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
                }
                Poll::Ready(Some(Ok(chunk))) => self.buffer.extend_from_slice(&chunk),
                Poll::Ready(Some(Err(_)) | None) => {
                    self.ended = true;
                    return Poll::Ready(Incoming::Gone);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next message in the buffer.
    fn decode(&mut self) -> Option<Incoming> {
        if self.ended {
            return Some(Incoming::Gone);
        }
        loop {
            let frame = match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => return Some(self.end(violation(&error))),
            };
            match frame {
                Frame::Binary(bytes) => return Some(Incoming::Frame(bytes)),
                Frame::Continuation(item) => {
                    if let Some(incoming) = self.fragment(item) {
                        return Some(incoming);
                    }
                }
                Frame::Ping(payload) => {
                    self.answers.pong(payload);
                    return Some(Incoming::Alive);
                }
                Frame::Pong(_) => return Some(Incoming::Alive),
                Frame::Text(_) => return Some(self.end(CloseReason::Protocol)),
                Frame::Close(_) => {
                    self.ended = true;
                    return Some(Incoming::Gone);
                }
            }
        }
    }

    fn fragment(&mut self, item: Item) -> Option<Incoming> {
        let (bytes, last) = match item {
            Item::FirstText(_) => return Some(self.end(CloseReason::Protocol)),
            Item::FirstBinary(bytes) => {
                self.partial = Some(Partial::default());
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(partial) = &mut self.partial else { return Some(self.end(CloseReason::Protocol)) };
        partial.fragments = partial.fragments.saturating_add(1);
        if partial.bytes.len().saturating_add(bytes.len()) > FRAME_MAX_BYTES || partial.fragments > FRAGMENTS_MAX {
            return Some(self.end(CloseReason::TooLarge));
        }
        partial.bytes.extend_from_slice(&bytes);
        if !last {
            return None;
        }
        let whole: Bytes = std::mem::take(&mut partial.bytes).freeze();
        self.partial = None;
        Some(Incoming::Frame(whole))
    }

    fn end(&mut self, reason: CloseReason) -> Incoming {
        self.ended = true;
        self.buffer.clear();
        Incoming::Violation(reason)
    }
}

impl Reader for SocketReader {
    async fn next(&mut self) -> Incoming {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn ready(&mut self) -> Option<Incoming> {
        self.decode()
    }
}

const fn violation(error: &ProtocolError) -> CloseReason {
    match error {
        ProtocolError::Overflow => CloseReason::TooLarge,
        _ => CloseReason::Protocol,
    }
}
