//! A running profile as a front uses it.

use sealpost_api::password::Password;
use sealpost_api::username::Username;
use tokio::sync::{Mutex, MutexGuard, mpsc, watch};

use super::claims::Claims;
use super::limit::Limit;
use super::trouble::Trouble;
use crate::driver::{self, DriverError, DriverHandle, Link, SendToken, Sending};
use crate::engine::{AccountInfo, Command, CommandError, Context, Engine, EngineError, Event, Outcome};

/// The note that says that the user logged out, so that no command logs in again by itself.
const LOGGED_OUT: &str = "logged_out";

/// A running driver and what all commands of a front share.
#[derive(Debug)]
pub struct Client {
    driver: DriverHandle,
    /// For logging in again where the session has ended.
    password: Option<Password>,
    /// One shows notices at a time, so that no notice is shown twice while nothing is killed.
    pub(super) showing: Mutex<()>,
    /// Held until a message is handed to the engine. So messages go in the order in which they were asked for.
    order: Mutex<()>,
    pub(super) claims: Claims,
}

impl Client {
    /// Takes over a running driver. With the password, commands log in again by themselves where the session has ended.
    #[must_use]
    pub fn new(driver: DriverHandle, password: Option<Password>) -> Self {
        Self { driver, password, showing: Mutex::new(()), order: Mutex::new(()), claims: Claims::default() }
    }

    /// Returns all events from now on, except the ends of commands and messages, which only their askers hear.
    #[must_use]
    pub fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        self.driver.events()
    }

    /// Returns the state of the stream, to be looked at and waited for.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.driver.link()
    }

    /// Returns whether the server has welcomed this device.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.driver.link().borrow().is_online()
    }

    /// Asks the engine something, in a vault transaction of its own.
    ///
    /// # Errors
    /// [`Trouble::Driver`]
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, &mut Context<'_>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.driver.query(question).await.map_err(|error| self.trouble(error))
    }

    /// Returns the account of this profile, or `None` before a registration or login.
    ///
    /// # Errors
    /// [`Trouble::Driver`]
    pub async fn account(&self) -> Result<Option<AccountInfo>, Trouble> {
        self.query(|engine, _| Ok(engine.whoami())).await
    }

    /// Carries out a command, within the limit. Where the session has ended and the password is at hand, logs in and tries
    /// once more.
    ///
    /// # Errors
    /// [`Trouble`]. A command whose time was up may still be carried out.
    pub async fn command(&self, limit: &impl Limit, command: Command) -> Result<Outcome, Trouble> {
        let not_logged_in = DriverError::Command(CommandError::NotLoggedIn);
        match limit.within(self.driver.command(command.clone())).await? {
            Err(error) if error == not_logged_in && self.log_in_again(limit).await? => {
                limit.within(self.driver.command(command)).await?.map_err(|error| self.trouble(error))
            }
            outcome => outcome.map_err(|error| self.trouble(error)),
        }
    }

    /// Connects, and waits for the server's welcome.
    ///
    /// # Errors
    /// [`Trouble`]
    pub async fn go_online(&self, limit: &impl Limit) -> Result<(), Trouble> {
        self.command(limit, Command::GoOnline).await.map(drop)
    }

    /// Logs in with the password at hand. Returns `false` without a password, and after the user has logged out.
    ///
    /// # Errors
    /// [`Trouble`]
    pub async fn log_in_again(&self, limit: &impl Limit) -> Result<bool, Trouble> {
        let Some(password) = self.password.clone() else { return Ok(false) };
        let known = self.query(|engine, context| {
            let note = driver::note(context.vault, LOGGED_OUT)?;
            Ok((engine.whoami(), note.is_some_and(|note| *note == b"1")))
        });
        let (Some(account), false) = known.await? else { return Ok(false) };
        let login = Command::Login { username: account.username, password, new_identity: false };
        limit.within(self.driver.command(login)).await?.map_err(|error| self.trouble(error))?;
        Ok(true)
    }

    /// Remembers whether the user logged out.
    ///
    /// # Errors
    /// [`Trouble::Driver`]
    pub async fn note_logged_out(&self, logged_out: bool) -> Result<(), Trouble> {
        let value: &[u8] = if logged_out { b"1" } else { b"0" };
        self.query(move |_, context| Ok(driver::set_note(context.vault, LOGGED_OUT, value)?)).await
    }

    /// Waits for the turn to hand a message to the engine. Hold it while looking at what decides whether to send, so that
    /// no later message overtakes.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.order.lock().await
    }

    /// Hands a message to the engine. [`deliver`](Self::deliver) waits for what becomes of it.
    ///
    /// With a token, the same message is taken once, however often it is handed over.
    ///
    /// # Errors
    /// [`Trouble::Driver`]
    pub fn hand_over(&self, token: Option<SendToken>, to: Username, text: String) -> Result<Sending, Trouble> {
        self.driver.send(token, to, text).map_err(|error| self.trouble(error))
    }

    /// Sends what is on its way, closes the stream, and waits until the driver has ended.
    pub async fn stop(self) {
        self.driver.stop().await;
    }

    /// Returns the trouble of an error, with what the network says about it.
    #[must_use]
    pub fn trouble(&self, error: DriverError) -> Trouble {
        let network = match error {
            DriverError::Command(CommandError::Unreachable) => self.driver.network_failure(),
            _ => None,
        };
        Trouble::Driver { error, network }
    }

    /// Returns the trouble of a message that is in the outbox and does not leave now.
    pub(super) fn held_up(&self, error: CommandError) -> Trouble {
        self.trouble(DriverError::Command(error))
    }
}
