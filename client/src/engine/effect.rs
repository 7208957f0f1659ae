//! What goes into the engine, and what it wants done.

use bytes::Bytes;
pub use sealpost_api::endpoint::Method;
use sealpost_api::frames::ServerFrame;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::UnixMillis;
use zeroize::Zeroizing;

use super::command::{Command, CommandId};
use super::event::Event;

/// Names one HTTP request between its effect and its answer. Unique while the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An answer of the server, of any status.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body, bounded by the transport.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why a request has no answer. Whether the server acted on it is unknown, so the engine repeats it as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// No connection, or it was lost.
    #[error("the server could not be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// Something answered that is not the API, or with too much.
    #[error("the answer was not HTTP as the API speaks it")]
    Protocol,
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// No connection.
    Unreachable,
    /// The server answered with this status instead of switching protocols.
    Status {
        /// The HTTP status.
        status: u16,
        /// Of the problem body, if there was one.
        code: Option<ProblemCode>,
        /// Of the problem body, in ms.
        retry_after: Option<u64>,
    },
}

/// Something that happened. The driver hands it to [`Engine::handle`](super::Engine::handle).
#[derive(Debug)]
pub enum Input {
    /// Somebody wants something.
    Command {
        /// Names it in the answer.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// An HTTP request was answered or failed.
    Response {
        /// As in the effect.
        request: RequestId,
        /// The answer.
        result: Result<HttpResponse, RequestFailure>,
    },
    /// The WebSocket is open; nothing was read from it yet.
    StreamOpened,
    /// A frame was read.
    Frame(ServerFrame),
    /// The WebSocket is closed or broken. After [`Effect::CloseStream`] it may be left out.
    StreamClosed {
        /// The close frame's code, if there was one.
        code: Option<u16>,
    },
    /// The WebSocket could not be opened.
    StreamRefused(StreamRefusal),
    /// The time of [`Effect::WakeAt`] has come, or nothing in particular has happened.
    Tick,
}

/// Something that the driver does after the vault transaction has committed, in order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "events are rare beside frames, and nobody keeps many effects")]
pub enum Effect {
    /// An HTTP request; answered by [`Input::Response`], always.
    Request(Request),
    /// Open `GET /v1/stream`; answered by [`Input::StreamOpened`] or [`Input::StreamRefused`]. An older stream of this
    /// engine is closed already, or is to be closed now.
    OpenStream {
        /// For the `Authorization` header.
        bearer: AccessToken,
    },
    /// Send an encoded [`ClientFrame`](sealpost_api::frames::ClientFrame) as one binary message on the open stream.
    SendFrame(Bytes),
    /// Close the stream.
    CloseStream,
    /// Hand in [`Input::Tick`] at this time, or soon after; replaces an earlier one.
    WakeAt(UnixMillis),
    /// Tells the front.
    Emit(Event),
}

/// An HTTP request.
pub struct Request {
    /// Names it in the answer.
    pub id: RequestId,
    /// The method.
    pub method: Method,
    /// Path and query, beginning with `/v1/`.
    pub path: String,
    /// A JSON body; it may hold a password or a refresh token, so it is wiped when dropped.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// For the `Authorization` header.
    pub bearer: Option<AccessToken>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, method, path, body: _, bearer: _ } = self;
        write!(formatter, "Request({}, {} {path}, body and bearer hidden)", id.0, method.as_str())
    }
}
