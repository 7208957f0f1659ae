//! Messages that earlier commands left in the outbox: the next command that connects sends them, and tells what became of
//! them.

use std::time::Duration;

use sealpost_api::ids::MessageId;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use tokio::sync::mpsc::UnboundedReceiver;

use super::client::Client;
use super::limit::Limit;
use super::trouble::Trouble;
use crate::engine::{Event, MessageReceipt};

/// How long a command that is done otherwise waits for the next answer about the outbox. What the server makes wait
/// longer (a rate limit) is left to the next command.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the outbox is looked at meanwhile: what is sent again to one device has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What became of a message that no command waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The server accepted it.
    Sent(MessageReceipt),
    /// The server refused it for good; it is no longer in the outbox.
    Refused {
        /// The recipient.
        to: Username,
        /// The message.
        message_id: MessageId,
        /// Why.
        code: ProblemCode,
    },
}

/// The outbox, watched from a moment on.
#[derive(Debug)]
pub struct Outbox<'a> {
    client: &'a Client,
    events: UnboundedReceiver<Event>,
}

impl<'a> Outbox<'a> {
    /// Watches the outbox from now on.
    #[must_use]
    pub fn watch(client: &'a Client) -> Self {
        Self::of(client, client.events())
    }

    /// Goes on with events that were watched before.
    #[must_use]
    pub const fn of(client: &'a Client, events: UnboundedReceiver<Event>) -> Self {
        Self { client, events }
    }

    /// Waits for the next message that no command reports about. Returns `None` once the driver has ended. May be dropped
    /// and called again.
    pub async fn next(&mut self) -> Option<Settled> {
        loop {
            let event = self.events.recv().await?;
            if let Some(settled) = self.client.settled(&event) {
                return Some(settled);
            }
        }
    }

    /// Waits until the outbox is empty, and tells what becomes of its messages. Ends earlier when it is time to give up,
    /// when nothing is heard for a while, and when the connection is lost.
    ///
    /// # Errors
    /// What `tell` returns, and [`Trouble::Driver`].
    pub async fn settle<E: From<Trouble>>(
        &mut self,
        limit: &impl Limit,
        mut tell: impl AsyncFnMut(Settled) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut patience = std::pin::pin!(limit.pause(PATIENCE));
        let mut given_up = std::pin::pin!(limit.reached());
        loop {
            // Asked before the events are read: what emptied the outbox is among them then.
            let is_empty = !self.client.has_work_to_send().await?;
            while let Ok(event) = self.events.try_recv() {
                if let Some(settled) = self.client.settled(&event) {
                    tell(settled).await?;
                }
            }
            if is_empty {
                return Ok(());
            }
            tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    None | Some(Event::Offline { .. }) => return Ok(()),
                    Some(event) => {
                        patience.set(limit.pause(PATIENCE));
                        if let Some(settled) = self.client.settled(&event) {
                            tell(settled).await?;
                        }
                    }
                },
                _ = &mut given_up => return Ok(()),
                () = &mut patience => return Ok(()),
                () = limit.pause(LOOK_AGAIN) => {}
            }
        }
    }
}

impl Client {
    /// Connects if the outbox holds something that can be sent, and settles it. That there is no connection is no error.
    ///
    /// # Errors
    /// What `tell` returns, and [`Trouble::Driver`].
    pub async fn flush<E: From<Trouble>>(
        &self,
        limit: &impl Limit,
        tell: impl AsyncFnMut(Settled) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut outbox = Outbox::watch(self);
        if !self.has_work_to_send().await? || self.go_online(limit).await.is_err() {
            return Ok(());
        }
        outbox.settle(limit, tell).await
    }

    /// Returns what an event says about a message that no command reports about, and claims the report.
    #[must_use]
    pub fn settled(&self, event: &Event) -> Option<Settled> {
        match event {
            Event::Sent { id: None, receipt } => {
                self.claims.claim(receipt.message_id).then(|| Settled::Sent(receipt.clone()))
            }
            Event::Refused { id: None, to, message_id, code } => self
                .claims
                .claim(*message_id)
                .then(|| Settled::Refused { to: to.clone(), message_id: *message_id, code: *code }),
            _ => None,
        }
    }

    /// Returns whether the outbox holds something that need not wait for a person.
    async fn has_work_to_send(&self) -> Result<bool, Trouble> {
        self.query(|engine, _| Ok(engine.has_work_to_send())).await
    }
}
