//! What a task works with: the profile, its time, and where its results go.

use std::time::Duration;

use sealpost_client::engine::{AccountInfo, Command, Outcome};
use sealpost_client::front::{Client, Settled, Trouble};

use crate::errors;
use crate::failure::Failure;
use crate::limit::Limit;
use crate::line::Line;
use crate::lines::outcome;
use crate::owner::Owner;
use crate::sink::Sink;

/// One task in the work.
pub(crate) struct Job<'a> {
    /// The profile.
    pub(crate) owner: &'a Owner,
    /// When it gives up.
    pub(crate) limit: Limit,
    /// Where results go.
    pub(crate) sink: &'a Sink,
}

impl<'a> Job<'a> {
    /// Begins a task that may take this long.
    pub(crate) fn new(owner: &'a Owner, timeout: Option<Duration>, sink: &'a Sink) -> Self {
        Self { owner, limit: Limit::new(timeout, owner.stop.clone(), sink.clone()), sink }
    }

    /// Returns the running client.
    pub(crate) const fn client(&self) -> &'a Client {
        &self.owner.client
    }

    /// Returns the profile's account.
    pub(crate) async fn account(&self) -> Result<AccountInfo, Failure> {
        self.client().account().await?.ok_or_else(errors::no_account)
    }

    /// Carries out a command of the engine. Logs in again where the session has ended and the password is at hand.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Trouble> {
        self.client().command(&self.limit, command).await
    }

    /// Connects, and waits for the server's welcome.
    pub(crate) async fn go_online(&self) -> Result<(), Trouble> {
        self.client().go_online(&self.limit).await
    }

    /// Prints lines.
    pub(crate) async fn lines(&self, lines: &[Line]) -> Result<(), Failure> {
        self.sink.lines(lines).await
    }

    /// Prints a line.
    pub(crate) async fn line(&self, line: Line) -> Result<(), Failure> {
        self.sink.line(line).await
    }

    /// Prints what became of a message that an earlier command left in the outbox.
    pub(crate) async fn settled(&self, settled: Settled) -> Result<(), Failure> {
        self.line(outcome::settled(&settled)).await
    }

    /// Connects if the outbox holds something that can be sent, sends it, and prints what becomes of it.
    pub(crate) async fn flush(&self) -> Result<(), Failure> {
        self.client().flush(&self.limit, async |settled| self.settled(settled).await).await
    }
}
