//! What a handle asks of the worker.

use sealpost_api::username::Username;
use tokio::sync::{mpsc, oneshot};

use super::error::DriverError;
use super::sending::{Report, SendToken};
use crate::engine::{Command, Context, Engine, EngineError, Event, Outcome};

/// Takes the end of a command.
pub(super) type Answer = oneshot::Sender<Result<Outcome, DriverError>>;
/// Asks the engine something inside a vault transaction, and passes on what it found.
pub(super) type Question = Box<dyn FnOnce(&mut Engine, &mut Context<'_>) -> Result<(), EngineError> + Send>;

/// What the handle asks for.
#[cfg_attr(not(feature = "native"), expect(dead_code, reason = "only a worker reads it"))]
pub(super) enum Ask {
    /// A command.
    Command { command: Command, answer: Answer },
    /// A message.
    Send { token: Option<SendToken>, to: Username, text: String, report: Report },
    /// A look at the engine, or a small change of it.
    Query { question: Question, failed: oneshot::Sender<Result<(), DriverError>> },
    /// Events from now on.
    Listen(mpsc::UnboundedSender<Event>),
    /// The end.
    Stop,
}
