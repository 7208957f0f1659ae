//! What the engine tells whoever listens. Nothing here is the only trace of something: messages and notices are in the
//! vault before their event goes out.

use sealpost_api::ids::MessageId;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;

use super::command::{CommandError, CommandId, Outcome};
use super::model::MessageReceipt;

/// Something that a person or a program may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "outcomes are read far more often than events are kept")]
pub enum Event {
    /// A command ended.
    Completed {
        /// Which.
        id: CommandId,
        /// How.
        outcome: Result<Outcome, CommandError>,
    },
    /// The server has welcomed this device; sending and receiving go on.
    Online {
        /// Rows that waited for it.
        pending: u64,
    },
    /// There is no stream (any more).
    Offline {
        /// Why.
        reason: OfflineReason,
        /// When the engine tries again by itself; `None` if it doesn't.
        retry_at: Option<UnixMillis>,
    },
    /// All that waited for this device has been taken in, saved and acked.
    Drained,
    /// Something new is to be shown: a notice with this position, readable by
    /// [`Engine::notices`](super::Engine::notices).
    Shown {
        /// Its position among the notices.
        position: u64,
    },
    /// A message was put into the outbox.
    Queued {
        /// The command that did.
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
        /// What was accepted.
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
    /// A message was not kept, because its recipient's identity has changed and nobody has accepted it. Comes before the
    /// command's [`Event::Completed`].
    Blocked {
        /// The recipient.
        to: Username,
        /// The message.
        message_id: MessageId,
    },
    /// The session has ended, and the engine has no password to begin another: log in.
    NeedsLogin,
    /// The vault is older than what the server has seen of this device: it was rolled back. A notice says more.
    RolledBack,
    /// The server's store is older than what this device has seen of it: it was restored from a backup. A notice says more.
    Restored,
}

/// Why there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineReason {
    /// It was asked for.
    Asked,
    /// The server could not be reached, or the connection broke.
    Unreachable,
    /// Another connection of this device took over. The engine does not reconnect by itself.
    Replaced,
    /// The session has ended.
    NotLoggedIn,
    /// The server refused or closed the stream.
    Refused {
        /// The close code, or the HTTP status.
        code: u16,
    },
}
