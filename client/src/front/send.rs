//! Waits for what becomes of a message.

use std::time::Duration;

use sealpost_api::ids::MessageId;

use super::client::Client;
use super::limit::Limit;
use super::outbox::{Outbox, Settled};
use super::trouble::Trouble;
use crate::driver::{DriverError, SendState, Sending};
use crate::engine::{CommandError, MessageReceipt};

/// How long to wait for the message's own answer after connecting has failed: it comes with that failure.
const OWN_ANSWER: Duration = Duration::from_millis(50);
/// How long to wait for the answer about a message that has just left the outbox.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The server accepted it.
    Accepted(MessageReceipt),
    /// It is in the outbox: the next program that connects sends it.
    Kept {
        /// The message.
        message_id: MessageId,
        /// Why it has not left.
        why: Trouble,
    },
    /// It is not kept.
    Failed(Trouble),
}

impl Client {
    /// Connects where needed, and waits until the server has accepted the message, it is refused, or it is time to give
    /// up. Meanwhile tells what becomes of earlier messages, if an `outbox` is watched; then it must be watched from before
    /// the message was [handed over](Self::hand_over).
    ///
    /// # Errors
    /// What `tell` returns, and [`Trouble::Driver`] when the outbox could not be looked at.
    pub async fn deliver<E: From<Trouble>>(
        &self,
        limit: &impl Limit,
        mut sending: Sending,
        mut outbox: Option<&mut Outbox<'_>>,
        mut tell: impl AsyncFnMut(Settled) -> Result<(), E>,
    ) -> Result<Delivery, E> {
        let Some(message_id) = sending.taken().await else {
            return Ok(self.ended(sending.done().await));
        };
        let claim = self.claims.hold(message_id);
        let mut connect = std::pin::pin!(self.go_online(limit));
        let mut given_up = std::pin::pin!(limit.reached());
        let mut is_connecting = !self.is_online();
        // Connecting may log in again, after which the message leaves.
        let mut was_logged_out = false;
        let why = loop {
            tokio::select! {
                biased;
                state = sending.next() => match state {
                    SendState::Ended(ended) => {
                        claim.reported();
                        return Ok(self.ended(ended));
                    }
                    SendState::Kept { trouble: Some(CommandError::NotLoggedIn), .. } if is_connecting => {
                        was_logged_out = true;
                    }
                    SendState::Kept { trouble: Some(trouble), .. } => break self.held_up(trouble),
                    SendState::Asked | SendState::Kept { trouble: None, .. } => {}
                },
                connected = &mut connect, if is_connecting => {
                    is_connecting = false;
                    match connected {
                        Ok(()) => {}
                        Err(trouble @ Trouble::Driver { .. }) if !was_logged_out => {
                            match limit.soon(OWN_ANSWER, sending.next()).await {
                                Some(SendState::Ended(ended)) => {
                                    claim.reported();
                                    return Ok(self.ended(ended));
                                }
                                Some(SendState::Kept { trouble: Some(own), .. }) => break self.held_up(own),
                                Some(SendState::Asked | SendState::Kept { .. }) | None => break trouble,
                            }
                        }
                        Err(trouble) => break trouble,
                    }
                }
                Some(settled) = next(&mut outbox) => tell(settled).await?,
                reached = &mut given_up => break reached.into(),
            }
        };
        if self.is_kept(message_id).await? {
            return Ok(Delivery::Kept { message_id, why });
        }
        // It was accepted or refused in this very moment.
        claim.reported();
        let ended = limit.soon(LAST_ANSWER, sending.done()).await;
        Ok(ended.map_or(Delivery::Failed(why), |ended| self.ended(ended)))
    }

    fn ended(&self, ended: Result<MessageReceipt, DriverError>) -> Delivery {
        match ended {
            Ok(receipt) => Delivery::Accepted(receipt),
            Err(error) => Delivery::Failed(self.trouble(error)),
        }
    }

    /// Returns whether the message is in the outbox.
    async fn is_kept(&self, message_id: MessageId) -> Result<bool, Trouble> {
        self.query(move |engine, _| Ok(engine.outbox().iter().any(|entry| entry.message_id == message_id))).await
    }
}

/// Waits for what became of an earlier message; for ever if no outbox is watched.
async fn next(outbox: &mut Option<&mut Outbox<'_>>) -> Option<Settled> {
    match outbox {
        Some(outbox) => outbox.next().await,
        None => std::future::pending().await,
    }
}
