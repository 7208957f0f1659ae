//! Messages that are taken once, however often they are asked for.
//!
//! A program that hands a message to another process (the owner of a profile), and sees that process die, cannot know
//! whether the message was taken. So it draws a token and may ask again with it. The tokens of the newest messages are kept
//! in the vault, each in a row of its own, written in the transaction that puts the message into the outbox. They are kept
//! in memory too, so that a message costs no look at the others.

use std::collections::VecDeque;

use sealpost_api::ids::MessageId;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::UnixMillis;
use serde::{Deserialize, Serialize};

use super::notes::{note, set_note};
use super::sending::SendToken;
use crate::engine::{CommandError, Event, MessageReceipt};
use crate::vault::{VaultError, VaultTransaction};

/// How many tokens are remembered: far more than the commands that run at a time, since a token is needed only until its
/// asker has heard the end of the message.
const REMEMBERED_MAX: u64 = 64;

/// What is remembered of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Counts up; its row is this modulo [`REMEMBERED_MAX`].
    order: u64,
    token: SendToken,
    message_id: [u8; 16],
    state: State,
}

/// How far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    /// In the outbox.
    Waiting,
    /// Accepted, under this number, at this time.
    Sent { to: String, number: u64, accepted_at: u64 },
    /// Refused for good.
    Refused { code: String },
    /// Not kept, because the recipient's identity has changed.
    Blocked { to: String },
}

impl Remembered {
    /// Returns the message.
    pub(super) const fn message_id(&self) -> MessageId {
        MessageId::from_bytes(self.message_id)
    }

    /// Returns the outcome, if it is known.
    pub(super) fn outcome(&self) -> Option<Result<MessageReceipt, CommandError>> {
        match &self.state {
            State::Waiting => None,
            State::Sent { to, number, accepted_at } => Some(
                sealpost_api::username::Username::parse(to)
                    .map(|to| MessageReceipt {
                        to,
                        message_id: self.message_id(),
                        number: sealpost_api::ids::MessageNumber(*number),
                        accepted_at: UnixMillis(*accepted_at),
                        skipped: Vec::new(),
                    })
                    .map_err(|_| CommandError::Internal),
            ),
            State::Blocked { to } => Some(Err(sealpost_api::username::Username::parse(to)
                .map_or(CommandError::Internal, |name| CommandError::IdentityChanged { name }))),
            State::Refused { code } => Some(Err(ProblemCode::parse(code)
                .map_or(CommandError::Internal, |code| CommandError::Refused { code, retry_after: None }))),
        }
    }
}

/// The newest messages that were asked for with a token, oldest first. After a transaction that failed, read it again.
#[derive(Debug, Default)]
pub(super) struct Sends(VecDeque<Remembered>);

impl Sends {
    /// Reads what the vault has.
    pub(super) fn read(vault: &mut dyn VaultTransaction) -> Result<Self, VaultError> {
        let mut sends = Vec::new();
        for row in 0..REMEMBERED_MAX {
            if let Some(bytes) = note(vault, &name(row))? {
                let send = serde_json::from_slice(&bytes);
                sends.push(send.map_err(|_| VaultError::Damaged { what: "memory of commands" })?);
            }
        }
        sends.sort_unstable_by_key(|send: &Remembered| send.order);
        Ok(Self(sends.into()))
    }

    /// Returns the message that was taken with this token.
    pub(super) fn look_up(&self, token: SendToken) -> Option<&Remembered> {
        self.0.iter().rev().find(|send| send.token == token)
    }

    /// Notes that a message was put into the outbox.
    pub(super) fn taken(
        &mut self,
        vault: &mut dyn VaultTransaction,
        token: SendToken,
        message_id: MessageId,
    ) -> Result<(), VaultError> {
        let order = self.0.back().map_or(0, |newest| newest.order.saturating_add(1));
        let send = Remembered { order, token, message_id: *message_id.as_bytes(), state: State::Waiting };
        write(vault, &send)?;
        self.0.push_back(send);
        if self.0.len() as u64 > REMEMBERED_MAX {
            self.0.pop_front();
        }
        Ok(())
    }

    /// Notes the end of a message, if it was taken with a token.
    pub(super) fn ended(&mut self, vault: &mut dyn VaultTransaction, event: &Event) -> Result<(), VaultError> {
        let (message_id, state) = match event {
            Event::Sent { receipt, .. } => (
                receipt.message_id,
                State::Sent {
                    to: receipt.to.as_str().to_owned(),
                    number: receipt.number.0,
                    accepted_at: receipt.accepted_at.0,
                },
            ),
            Event::Blocked { to, message_id } => (*message_id, State::Blocked { to: to.as_str().to_owned() }),
            Event::Refused { message_id, code, .. } => (*message_id, State::Refused { code: code.as_str().to_owned() }),
            _ => return Ok(()),
        };
        for send in self.0.iter_mut().filter(|send| send.message_id == *message_id.as_bytes()) {
            send.state = state.clone();
            write(vault, send)?;
        }
        Ok(())
    }
}

/// Returns the name of the note that holds a row.
fn name(row: u64) -> String {
    format!("send/{row}")
}

fn write(vault: &mut dyn VaultTransaction, send: &Remembered) -> Result<(), VaultError> {
    let bytes = serde_json::to_vec(send).map_err(|_| VaultError::Damaged { what: "memory of commands" })?;
    set_note(vault, &name(send.order % REMEMBERED_MAX), &bytes)
}
