//! The stream: one authenticated socket of one device, from `Welcome` to its close code.
//!
//! Nothing here knows actix. A transport reads and writes frames ([`Reader`], [`Writer`]). [`delivery`] decides which
//! rows the device gets, [`sends`] handles what it sends, and `driver` is the loop that connects them with the store,
//! the hub and the timers.

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

/// The times of a stream, and the node's name for `Welcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// The node's name.
    pub node: String,
    /// The interval of pings. Two missed pings end the stream.
    pub ping_interval: Duration,
    /// How long a peer can take nothing before it is dropped.
    pub write_timeout: Duration,
    /// How long a peer without an `Authorization` header can take to send its `Auth` frame.
    pub auth_timeout: Duration,
    /// How long acks wait for others of their stream. The store can hold them a little longer.
    pub ack_delay: Duration,
    /// How often a connected device is recorded as seen.
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

/// A result of reading from a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole binary message.
    Frame(Bytes),
    /// A sign of life: a pong, or a ping that the transport has answered.
    Alive,
    /// The peer broke the transport's protocol or sent something that is not allowed. The stream ends for this reason.
    Violation(CloseReason),
    /// The peer closed, or is gone.
    Gone,
}

/// The reading half of a transport.
pub trait Reader {
    /// Waits for the next message. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Incoming>;
    /// Returns the next message if it has arrived already.
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
    /// Returns the number of gathered bytes that the transport has not taken yet.
    fn pending(&self) -> usize;
    /// Passes on what was gathered as soon as the transport takes it. Dropping the future loses nothing.
    fn flush(&mut self) -> impl Future<Output = Result<(), Gone>>;
    /// Sends the reason and closes the connection.
    fn close(&mut self, reason: CloseReason) -> impl Future<Output = ()>;
}
