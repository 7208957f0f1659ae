//! A message on its way, from the asker's side and from the worker's. Its result travels through here and nowhere else,
//! whether the message is new, was asked for before, or leaves only after another login.

use sealpost_api::ids::MessageId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::error::DriverError;
use crate::engine::{CommandError, MessageReceipt};

/// Names one send, so that asking for it again does not send it twice. Drawn at random by the asker; 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SendToken(pub [u8; 16]);

/// How far a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendState {
    /// The driver has not taken it yet.
    Asked,
    /// It is in the outbox, on disk: this run or a later one sends it.
    Kept {
        /// The message.
        message_id: MessageId,
        /// Why it does not leave now. It leaves when that has changed, for example after a login.
        trouble: Option<CommandError>,
    },
    /// The server accepted it, or it is not kept.
    Ended(Result<MessageReceipt, DriverError>),
}

/// A message on its way.
#[derive(Debug)]
pub struct Sending {
    state: watch::Receiver<SendState>,
    /// Whether [`next`](Self::next) has returned the current state.
    is_told: bool,
}

impl Sending {
    /// Waits until the message is in the outbox, on disk. Returns `None` if it was not kept, or is not kept any more; then
    /// [`done`](Self::done) says why.
    pub async fn taken(&mut self) -> Option<MessageId> {
        loop {
            match &*self.state.borrow_and_update() {
                SendState::Asked => {}
                SendState::Kept { message_id, .. } => return Some(*message_id),
                SendState::Ended(ended) => return ended.as_ref().ok().map(|receipt| receipt.message_id),
            }
            self.is_told = false;
            self.state.changed().await.ok()?;
        }
    }

    /// Waits for a state that this has not returned before. Returns [`SendState::Ended`] again and again. May be dropped
    /// and called again.
    pub async fn next(&mut self) -> SendState {
        let has_ended = matches!(&*self.state.borrow(), SendState::Ended(_));
        if self.is_told && !has_ended && self.state.changed().await.is_err() {
            return SendState::Ended(Err(DriverError::Stopped));
        }
        self.is_told = true;
        self.state.borrow_and_update().clone()
    }

    /// Waits for the server's answer. May be dropped and called again.
    ///
    /// # Errors
    /// [`DriverError`], once the message is not kept. A message that is kept goes on waiting.
    pub async fn done(&mut self) -> Result<MessageReceipt, DriverError> {
        loop {
            if let SendState::Ended(ended) = self.next().await {
                return ended;
            }
        }
    }
}

/// The worker's end of a [`Sending`].
#[derive(Debug)]
pub(super) struct Report(watch::Sender<SendState>);

#[cfg_attr(not(feature = "native"), expect(dead_code, reason = "only a worker reports"))]
impl Report {
    /// Makes both ends.
    pub(super) fn new() -> (Self, Sending) {
        let (sender, state) = watch::channel(SendState::Asked);
        (Self(sender), Sending { state, is_told: true })
    }

    /// Says that the message is in the outbox.
    pub(super) fn kept(&self, message_id: MessageId) {
        self.0.send_replace(SendState::Kept { message_id, trouble: None });
    }

    /// Says why a message in the outbox does not leave now.
    pub(super) fn trouble(&self, message_id: MessageId, trouble: CommandError) {
        self.0.send_replace(SendState::Kept { message_id, trouble: Some(trouble) });
    }

    /// Says how the message ended.
    pub(super) fn ended(&self, ended: Result<MessageReceipt, DriverError>) {
        self.0.send_replace(SendState::Ended(ended));
    }
}
