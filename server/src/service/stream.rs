//! The stream: one authenticated socket of one device, from `Welcome` to its close code.
//!
//! Nothing here knows actix. A transport gives frames and takes frames ([`Reader`], [`Writer`]); [`delivery`] decides what the
//! device is given, [`sends`] what becomes of what it sends, and `driver` is the one loop that brings them together with
//! the store, the hub and the timers.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use sealpost_api::limits::PING_SECONDS;

use super::hub::CloseReason;

pub mod delivery;
mod driver;
mod live;
mod open;
pub mod sends;
mod timers;

/// The times that a stream keeps, and the name that `Welcome` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// The node's name.
    pub node: String,
    /// Between two pings; two misses end the stream.
    pub ping_interval: Duration,
    /// A peer that takes nothing for this long is dropped.
    pub write_timeout: Duration,
    /// A peer without an `Authorization` header sends its `Auth` frame within this time.
    pub auth_timeout: Duration,
    /// Acknowledgements wait at most this long for others of their stream; the store may keep them a little longer for company.
    pub ack_delay: Duration,
    /// A connected device is noted as seen this often.
    pub seen_interval: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            node: "sealpost".to_owned(),
            ping_interval: Duration::from_secs(PING_SECONDS),
            write_timeout: Duration::from_secs(5),
            auth_timeout: Duration::from_secs(5),
            ack_delay: Duration::from_millis(40),
            seen_interval: Duration::from_secs(3600),
        }
    }
}

/// What a transport read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole binary message.
    Frame(Bytes),
    /// A sign of life: a pong, or a ping that the transport has answered.
    Alive,
    /// The peer broke the transport's protocol or sent what is not allowed here; the stream ends for this reason.
    Violation(CloseReason),
    /// The peer closed, or is gone.
    Gone,
}

/// The reading half of a transport.
pub trait Reader {
    /// The next message. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Incoming>;
    /// The next message, if it has arrived already.
    fn ready(&mut self) -> Option<Incoming>;
}

/// The peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer is gone")]
pub struct Gone;

/// The writing half of a transport. Frames are gathered and leave with [`flush`](Self::flush).
pub trait Writer {
    /// Adds a binary message.
    fn frame(&mut self, frame: &Bytes);
    /// Adds a ping.
    fn ping(&mut self);
    /// Bytes gathered and not yet taken by the peer's side.
    fn pending(&self) -> usize;
    /// Hands over what was gathered, as soon as the transport takes it. Dropping the future loses nothing.
    fn flush(&mut self) -> impl Future<Output = Result<(), Gone>>;
    /// Says why and ends the socket.
    fn close(&mut self, reason: CloseReason) -> impl Future<Output = ()>;
}
