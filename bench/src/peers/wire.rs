//! The messages between the bench and a peer, in minimal forms of two protocols: XMPP and MQTT 3.1.1.

use anyhow::Result;
use bytes::{Bytes, BytesMut};

pub(crate) mod mqtt;
pub(crate) mod xmpp;

/// The protocol that a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RFC 6120 and 6121. Nothing answers a message, so senders follow theirs with a request that is answered in its turn.
    Xmpp,
    /// MQTT 3.1.1 with QoS 1. Every message is answered with PUBACK, in both directions.
    Mqtt,
}

/// An arrival from a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A message, and what its acknowledgement has to name, if the protocol wants one.
    Message { body: Bytes, receipt: Option<u16> },
    /// The server has accepted this many more of the connection's messages.
    Accepted(usize),
    /// The answer to one of the steps of logging in.
    Step(Step),
    /// Anything that the bench ignores.
    Other,
}

/// The steps of logging in, as the server's answers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The server says what it offers.
    Features,
    /// An account was made.
    Registered,
    /// The password was right, or the connection needs none.
    LoggedIn,
    /// The connection has its address.
    Bound,
    /// From here on messages are delivered to this connection.
    Listening,
}

impl Protocol {
    /// Appends a message to user number `to`. `packet` numbers the messages of a connection from 1 on.
    pub(crate) fn put_message(self, out: &mut BytesMut, packet: u64, to: usize, body: &[u8]) {
        match self {
            Self::Xmpp => xmpp::put_message(out, to, body),
            Self::Mqtt => mqtt::put_publish(out, packet, to, body),
        }
    }

    /// Appends a request whose answer shows that the server has accepted the last `count` messages, if it does not
    /// report that unasked.
    pub(crate) fn put_fence(self, out: &mut BytesMut, count: usize) {
        match self {
            Self::Xmpp => xmpp::put_fence(out, count),
            Self::Mqtt => {}
        }
    }

    /// Takes the next arrival off `input` if it is complete.
    ///
    /// # Errors
    ///
    /// Fails if the server ends the stream, refuses something, or breaks the protocol.
    pub(crate) fn take(self, input: &mut BytesMut) -> Result<Option<Arrival>> {
        match self {
            Self::Xmpp => xmpp::take(input),
            Self::Mqtt => mqtt::take(input),
        }
    }
}
