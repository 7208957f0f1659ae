//! Carries out tasks while this process owns the profile: its own, and those that come over the socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use sealpost_api::ids::MessageId;
use sealpost_api::password::Password;
use sealpost_api::username::Username;
use sealpost_client::driver::{self, DriverError, DriverHandle};
use sealpost_client::engine::{
    AccountInfo, Command, CommandError, Context, Engine, EngineError, Event, OfflineReason, Outcome,
};
use tokio::sync::{Mutex, watch};

use crate::commands;
use crate::errors;
use crate::failure::Failure;
use crate::limit::Limit;
use crate::sink::Sink;
use crate::task::{Request, Task};

/// The note that says that the user logged out, so that no command logs in again by itself.
const LOGGED_OUT: &str = "logged_out";
/// Messages whose `sent` line was printed, remembered so that two commands do not both print it.
const CLAIMED_MAX: usize = 1024;

/// Where the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not asked for yet.
    Down,
    /// Welcomed by the server.
    Online,
    /// All that waited was taken in.
    Drained,
    /// Lost, or never had.
    Offline(OfflineReason),
}

/// A profile in use.
pub(crate) struct Owner {
    /// Runs the engine.
    pub(crate) driver: DriverHandle,
    /// The server's URL, to be shown.
    pub(crate) server: Option<String>,
    /// Logs in again by itself where it is at hand.
    password: Option<Password>,
    /// One printer of notices at a time, so that none is printed twice while nothing is killed.
    pub(crate) printing: Mutex<()>,
    /// Held until a message is handed to the engine: they go in the order in which they were asked for.
    pub(crate) sending: Mutex<()>,
    /// A task that goes on and on prints whatever becomes of the outbox, so that the others need not.
    pub(crate) is_followed: Cell<bool>,
    link: watch::Receiver<Link>,
    claimed: RefCell<VecDeque<MessageId>>,
    stop: watch::Receiver<bool>,
}

impl Owner {
    /// Takes over a running driver. Must be called inside a local task set.
    pub(crate) fn new(
        driver: DriverHandle,
        server: Option<String>,
        password: Option<Password>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let mut events = driver.events();
        let (state, link) = watch::channel(Link::Down);
        tokio::task::spawn_local(async move {
            while let Some(event) = events.recv().await {
                let next = match event {
                    Event::Online { .. } => Link::Online,
                    Event::Drained => Link::Drained,
                    Event::Offline { reason, .. } => Link::Offline(reason),
                    _ => continue,
                };
                state.send_replace(next);
            }
        });
        Self {
            driver,
            server,
            password,
            printing: Mutex::new(()),
            sending: Mutex::new(()),
            is_followed: Cell::new(false),
            link,
            claimed: RefCell::new(VecDeque::new()),
            stop,
        }
    }

    /// Carries out one task.
    pub(crate) async fn run(&self, request: &Request, sink: &Sink) -> Result<(), Failure> {
        let limit = Limit::new(request.timeout(), self.stop.clone(), sink.clone());
        let (limit, owner) = (&limit, self);
        match &request.task {
            Task::Register { name, password, invite } => {
                commands::account::register(owner, limit, sink, name, password, invite.as_deref()).await
            }
            Task::Login { name, password, new_identity } => {
                commands::account::login(owner, limit, sink, name, password, *new_identity).await
            }
            Task::Logout => commands::account::logout(owner, limit, sink).await,
            Task::ChangePassword { old, new } => commands::account::change_password(owner, limit, sink, old, new).await,
            Task::DeleteAccount { password } => commands::account::delete(owner, limit, sink, password).await,
            Task::Export => commands::account::export(owner, limit, sink).await,
            Task::Send { name, text, verified, token } => {
                commands::send::send(owner, limit, sink, name, text, *verified, *token).await
            }
            Task::Receive { follow, max } => commands::receive::receive(owner, limit, sink, *follow, *max).await,
            Task::History { name, since, limit } => commands::history::history(owner, sink, name, *since, *limit).await,
            Task::Contacts => commands::people::contacts(owner, sink).await,
            Task::Verify { name, mark, accept } => {
                commands::people::verify(owner, limit, sink, name, *mark, *accept).await
            }
            Task::Whoami => commands::account::whoami(owner, sink).await,
            Task::Devices => commands::devices::list(owner, limit, sink).await,
            Task::RemoveDevice { id } => commands::devices::remove(owner, limit, sink, *id).await,
            Task::Sessions => commands::sessions::list(owner, limit, sink).await,
            Task::EndSession { id } => commands::sessions::end(owner, limit, sink, id).await,
            Task::EndAllSessions => commands::sessions::end_all(owner, limit, sink).await,
            Task::Keys { rotate } => commands::status::keys(owner, limit, sink, *rotate).await,
            Task::Status => commands::status::status(owner, limit, sink).await,
        }
    }

    /// Asks the engine something.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, &mut Context<'_>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.driver.query(question).await.map_err(|error| self.failure(&error))
    }

    /// Carries out a command, within the limit. Where the session has ended and the password is at hand, logs in and
    /// tries once more.
    pub(crate) async fn command(&self, limit: &Limit, command: Command) -> Result<Outcome, Failure> {
        self.tried(limit, command).await.map_err(|failure| failure.explained(self))
    }

    /// As [`command`](Self::command), with the engine's own error.
    pub(crate) async fn tried(&self, limit: &Limit, command: Command) -> Result<Outcome, Tried> {
        let first = limit.within(self.driver.command(command.clone())).await?;
        match first {
            Err(DriverError::Command(CommandError::NotLoggedIn)) if self.log_in_again(limit).await? => {
                Ok(limit.within(self.driver.command(command)).await??)
            }
            other => Ok(other?),
        }
    }

    /// Logs in with the password at hand; whether it did.
    pub(crate) async fn log_in_again(&self, limit: &Limit) -> Result<bool, Tried> {
        let Some(password) = self.password.clone() else { return Ok(false) };
        let known = self
            .driver
            .query(|engine, context| {
                Ok((engine.whoami(), driver::note(context.vault, LOGGED_OUT)?.is_some_and(|note| *note == b"1")))
            })
            .await?;
        let (Some(account), false) = known else { return Ok(false) };
        let login = Command::Login { username: account.username, password, new_identity: false };
        limit.within(self.driver.command(login)).await??;
        Ok(true)
    }

    /// Remembers whether the user logged out.
    pub(crate) async fn note_logged_out(&self, logged_out: bool) -> Result<(), Failure> {
        let value: &[u8] = if logged_out { b"1" } else { b"0" };
        self.query(move |_, context| Ok(driver::set_note(context.vault, LOGGED_OUT, value)?)).await
    }

    /// The profile's account.
    pub(crate) async fn account(&self) -> Result<AccountInfo, Failure> {
        self.query(|engine, _| Ok(engine.whoami())).await?.ok_or_else(errors::no_account)
    }

    /// Connects; waits for the server's welcome.
    pub(crate) async fn go_online(&self, limit: &Limit) -> Result<(), Tried> {
        self.tried(limit, Command::GoOnline).await?;
        // The answer may be here before the event that goes with it; what comes next looks at the link.
        let mut link = self.link();
        let online = link.wait_for(|link| matches!(link, Link::Online | Link::Drained));
        let _ = limit.at_most(std::time::Duration::from_secs(1)).within(online).await;
        Ok(())
    }

    /// Where the stream is, from now on.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Whether the server has welcomed this device on the stream.
    pub(crate) fn is_online(&self) -> bool {
        matches!(*self.link.borrow(), Link::Online | Link::Drained)
    }

    /// Whether the `sent` or `refused` line of a message is still to be printed; from now on it is not.
    pub(crate) fn claim(&self, message: MessageId) -> bool {
        let mut claimed = self.claimed.borrow_mut();
        if claimed.contains(&message) {
            return false;
        }
        if claimed.len() >= CLAIMED_MAX {
            claimed.pop_front();
        }
        claimed.push_back(message);
        true
    }

    /// The failure to report for a driver's error.
    pub(crate) fn failure(&self, error: &DriverError) -> Failure {
        errors::driver(error, self.driver.transport_failure().as_ref())
    }
}

/// How trying a command failed.
#[derive(Debug)]
pub(crate) enum Tried {
    /// By its limit.
    Limit(crate::limit::Reached),
    /// By itself.
    Driver(DriverError),
}

impl Tried {
    /// The failure to report.
    pub(crate) fn explained(self, owner: &Owner) -> Failure {
        match self {
            Self::Limit(reached) => reached.into(),
            Self::Driver(error) => owner.failure(&error),
        }
    }
}

impl From<crate::limit::Reached> for Tried {
    fn from(reached: crate::limit::Reached) -> Self {
        Self::Limit(reached)
    }
}

impl From<DriverError> for Tried {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

/// A username as typed.
pub(crate) fn username(name: &str) -> Result<Username, Failure> {
    Username::parse(name).map_err(|error| errors::username(&error))
}
