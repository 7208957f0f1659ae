//! The engine's events for its front. An event is never the only trace of something: messages and notices are in the
//! vault before their event goes out.

use sealpost_api::ids::MessageId;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;

use super::command::{CommandError, CommandId, Outcome};
use super::model::MessageReceipt;

/// A fact for a person or program to see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "outcomes are read far more often than events are kept")]
pub enum Event {
    /// A command ended.
    Completed {
        /// The command's id.
        id: CommandId,
        /// Its result.
        outcome: Result<Outcome, CommandError>,
    },
    /// The server has welcomed this device. Sending and receiving continue.
    Online {
        /// The number of rows that waited for it.
        pending: u64,
    },
    /// The stream is closed.
    Offline {
        /// Why.
        reason: OfflineReason,
        /// When the engine tries again by itself, or `None` if it does not.
        retry_at: Option<UnixMillis>,
    },
    /// Everything that waited for this device has been received, stored and acked.
    Drained,
    /// There is something new to show: a notice with this position, readable by
    /// [`Engine::notices`](super::Engine::notices).
    Shown {
        /// Its position among the notices.
        position: u64,
    },
    /// A message was put into the outbox.
    Queued {
        /// The command that did it.
        id: CommandId,
        /// The recipient.
        to: Username,
        /// The message.
        message_id: MessageId,
    },
    /// The server accepted a message. Comes before the command's [`Event::Completed`].
    Sent {
        /// The command that queued it, if this engine took it.
        id: Option<CommandId>,
        /// The accepted message.
        receipt: MessageReceipt,
    },
    /// A message was refused for good, and is no longer in the outbox. Comes before the command's [`Event::Completed`].
    Refused {
        /// The command that queued it, if this engine took it.
        id: Option<CommandId>,
        /// The recipient.
        to: Username,
        /// The message.
        message_id: MessageId,
        /// Why.
        code: ProblemCode,
    },
    /// A message was not kept, because its recipient's identity has changed and the user has not accepted it. This
    /// comes before the command's [`Event::Completed`].
    Blocked {
        /// The recipient.
        to: Username,
        /// The message.
        message_id: MessageId,
    },
    /// The login has ended, and the engine has no password to start another: log in.
    NeedsLogin,
    /// The vault is older than the state that the server has seen of this device: it was rolled back. A notice says
    /// more.
    RolledBack,
    /// The server's store is older than the state that this device has seen of it: it was restored from a backup. A
    /// notice says more.
    Restored,
}

/// Why there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineReason {
    /// The front asked for it.
    Asked,
    /// The server could not be reached, or the connection broke.
    Unreachable,
    /// Another connection of this device took over. The engine does not reconnect by itself.
    Replaced,
    /// The login has ended.
    NotLoggedIn,
    /// The server refused or closed the stream.
    Refused {
        /// The close code, or the HTTP status.
        code: u16,
    },
}
