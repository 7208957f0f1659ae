//! Who waits for what the engine does, and who listens to everything else.

use std::collections::HashMap;

use sealpost_api::ids::MessageId;
use tokio::sync::mpsc;

use super::ask::Answer;
use super::error::DriverError;
use super::sending::Report;
use crate::engine::{CommandError, CommandId, Event};

/// Everyone who is to be told something.
#[derive(Default)]
pub(super) struct Waiting {
    commands: HashMap<CommandId, Answer>,
    /// Messages that the engine has not answered for yet.
    asked: HashMap<CommandId, Report>,
    /// Messages in the outbox. A message may have several askers, with one token.
    kept: HashMap<MessageId, Vec<Report>>,
    /// The messages of commands that have not ended.
    queued: HashMap<CommandId, MessageId>,
    listeners: Vec<mpsc::UnboundedSender<Event>>,
}

impl Waiting {
    /// Answers here when the command has ended.
    pub(super) fn for_command(&mut self, id: CommandId, answer: Answer) {
        self.commands.insert(id, answer);
    }

    /// Reports here how far the message of a command is.
    pub(super) fn for_message(&mut self, id: CommandId, report: Report) {
        self.asked.insert(id, report);
    }

    /// Reports here the end of a message that is in the outbox already.
    pub(super) fn for_kept(&mut self, message_id: MessageId, report: Report) {
        report.kept(message_id);
        self.kept.entry(message_id).or_default().push(report);
    }

    /// Sends events here from now on.
    pub(super) fn listen(&mut self, listener: mpsc::UnboundedSender<Event>) {
        self.listeners.push(listener);
    }

    /// Passes an event on to everyone whom it concerns.
    pub(super) fn tell(&mut self, event: &Event) {
        match event {
            Event::Queued { id, message_id, .. } => {
                if let Some(report) = self.asked.remove(id) {
                    self.queued.insert(*id, *message_id);
                    self.for_kept(*message_id, report);
                }
                return;
            }
            Event::Completed { id, outcome } => {
                if let Some(answer) = self.commands.remove(id) {
                    let _ = answer.send(outcome.clone().map_err(DriverError::from));
                } else if let Err(error) = outcome {
                    self.not_sent(*id, error);
                }
                self.queued.remove(id);
                return;
            }
            Event::Sent { receipt, .. } => {
                self.end(receipt.message_id, |report| report.ended(Ok(receipt.clone())));
            }
            Event::Refused { message_id, code, .. } => {
                let refused = DriverError::Command(CommandError::Refused { code: *code, retry_after: None });
                self.end(*message_id, |report| report.ended(Err(refused.clone())));
            }
            Event::Blocked { to, message_id } => {
                let blocked = DriverError::Command(CommandError::IdentityChanged { name: to.clone() });
                self.end(*message_id, |report| report.ended(Err(blocked.clone())));
            }
            _ => {}
        }
        self.listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// Handles that the command of a message failed, before or after the message was in the outbox.
    fn not_sent(&mut self, id: CommandId, error: &CommandError) {
        if let Some(report) = self.asked.remove(&id) {
            report.ended(Err(error.clone().into()));
        } else if let Some(message_id) = self.queued.get(&id) {
            for report in self.kept.get(message_id).into_iter().flatten() {
                report.trouble(*message_id, error.clone());
            }
        }
    }

    fn end(&mut self, message_id: MessageId, tell: impl Fn(&Report)) {
        for report in self.kept.remove(&message_id).unwrap_or_default() {
            tell(&report);
        }
    }

    /// Tells everyone who waits that the engine was dropped. Listeners go on with the next engine.
    pub(super) fn fail(&mut self, error: &DriverError) {
        for (_, answer) in self.commands.drain() {
            let _ = answer.send(Err(error.clone()));
        }
        let asked = self.asked.drain().map(|(_, report)| report);
        for report in asked.chain(self.kept.drain().flat_map(|(_, reports)| reports)) {
            report.ended(Err(error.clone()));
        }
        self.queued.clear();
    }
}
