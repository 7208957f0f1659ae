//! The account: who this profile is, its log-in, its prekeys, its own device lists and its password.

mod bodies;
mod calls;
mod offer;
mod own_lists;
mod password;
mod prekeys;
mod request;
mod sign_up;
mod tokens;

use sealpost_api::password::{AccessToken, Password};
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceId};

pub(crate) use own_lists::OwnLists;
pub(crate) use prekeys::Prekeys;

use super::command::{CommandError, CommandId, DeviceOffer, InvalidCommand, Outcome};
use super::error::EngineError;
use super::event::Event;
use super::fact::Fact;
use super::model::{AccountInfo, DeviceInfo};
use super::records::Me;
use super::requests::Answer;
use super::step::Step;
use super::store::Single;
use super::waiting::{Begun, Waiting};
use crate::vault::VaultTransaction;
use password::{Changed, PasswordChange};
use request::{AccountRequest, Aim};
use sign_up::{Answered, SignUp};
use tokens::Tokens;

/// The account's state.
pub(crate) struct Account {
    pub(crate) me: Single<Me>,
    offered: Single<offer::Offered>,
    sign_up: SignUp,
    tokens: Tokens,
    pub(crate) prekeys: Prekeys,
    pub(crate) own_lists: OwnLists,
    password_change: Single<PasswordChange>,
    /// The account's password, as given with a command, for logging in again.
    password: Option<Password>,
    /// Whether it was told that only a person can go on.
    told_needs_login: bool,
}

impl Account {
    /// Reads it.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self {
            me: Single::open(vault)?,
            offered: Single::open(vault)?,
            sign_up: SignUp::open(vault)?,
            tokens: Tokens::open(vault)?,
            prekeys: Prekeys::open(vault)?,
            own_lists: OwnLists::open(vault)?,
            password_change: Single::open(vault)?,
            password: None,
            told_needs_login: false,
        })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.me.flush(vault)?;
        self.offered.flush(vault)?;
        self.sign_up.flush(vault)?;
        self.tokens.flush(vault)?;
        self.prekeys.flush(vault)?;
        self.own_lists.flush(vault)?;
        self.password_change.flush(vault)
    }

    /// Returns who this profile is.
    pub(crate) const fn me(&self) -> Option<&Me> {
        self.me.get()
    }

    /// Returns who this profile is, as a query answers it.
    pub(crate) fn info(&self) -> Option<AccountInfo> {
        let me = self.me()?;
        Some(AccountInfo {
            username: me.username.clone(),
            account: me.address.account,
            account_identity: me.list.account_identity(),
            device: me.address.device,
            registration: me.address.registration,
            primary: me.account_identity.is_some(),
            logged_in: self.is_logged_in(),
        })
    }

    /// Returns the devices of the account, as far as this one knows.
    pub(crate) fn devices(&self) -> Vec<DeviceInfo> {
        let Some(me) = self.me() else { return Vec::new() };
        let devices = me.list.devices().iter().map(|entry| DeviceInfo {
            device: entry.device,
            registration: entry.registration,
            identity: entry.identity,
            this: entry.device == me.address.device && entry.registration == me.address.registration,
        });
        devices.collect()
    }

    /// Returns whether there is a log-in.
    pub(crate) const fn is_logged_in(&self) -> bool {
        self.tokens.is_logged_in()
    }

    /// Returns whether the keys are being made anew after a roll-back.
    pub(crate) fn is_recovering(&self) -> bool {
        self.prekeys.is_recovering()
    }

    /// Handles a new question, which is told again what is missing.
    pub(crate) const fn asked(&mut self) {
        self.told_needs_login = false;
    }

    /// Begins to register, or goes on with it.
    pub(crate) fn register(
        &mut self,
        step: &mut Step<'_>,
        username: Username,
        password: Password,
        invite: Option<String>,
    ) -> Begun {
        if password.check_length().is_err() {
            return InvalidCommand::PasswordLength.into();
        }
        if let Some(info) = self.info() {
            // An earlier run may have ended between the answer and its report.
            return if info.username == username && info.logged_in {
                Begun::Done(Outcome::Account(info))
            } else {
                InvalidCommand::HasAccount.into()
            };
        }
        self.sign_up.begin(step, AccountRequest::new(username, password, Aim::Register { invite }))
    }

    /// Begins to log in, or goes on with it.
    pub(crate) fn log_in(
        &mut self,
        step: &mut Step<'_>,
        username: Username,
        password: Password,
        new_identity: bool,
    ) -> Begun {
        match self.me() {
            Some(me) if me.username != username => return InvalidCommand::OtherAccount.into(),
            None if !new_identity => return InvalidCommand::NoAccount.into(),
            _ => {}
        }
        let aim = if new_identity { Aim::NewIdentity } else { Aim::Login };
        self.sign_up.begin(step, AccountRequest::new(username, password, aim))
    }

    /// Makes this profile a device that waits to be listed.
    pub(crate) fn offer_device(
        &mut self,
        step: &mut Step<'_>,
        username: Username,
        account: AccountId,
        device: DeviceId,
    ) -> Result<Begun, EngineError> {
        if self.me().is_some() {
            return Ok(InvalidCommand::HasAccount.into());
        }
        offer::offer(&mut self.offered, step, username, account, device)
    }

    /// Logs in on the offered device, which the list must have.
    pub(crate) fn join_device(&mut self, password: Password, device_list: &[u8]) -> Begun {
        let Some(offered) = self.offered.get() else { return InvalidCommand::NoAccount.into() };
        match offer::join(offered, password, device_list) {
            Some(request) => self.sign_up.replace(request),
            None => InvalidCommand::NotInList.into(),
        }
    }

    /// Signs a list with an offered device, and has it published.
    pub(crate) fn add_device(&mut self, offer: DeviceOffer) -> Result<Begun, EngineError> {
        match self.me.get() {
            Some(me) => self.own_lists.add(me, offer),
            None => Ok(InvalidCommand::NoAccount.into()),
        }
    }

    /// Signs a list without a device, and has it published.
    pub(crate) fn remove_device(&mut self, device: DeviceId) -> Result<Begun, EngineError> {
        match self.me.get() {
            Some(me) => self.own_lists.remove(me, device),
            None => Ok(InvalidCommand::NoAccount.into()),
        }
    }

    /// Begins to change the password.
    pub(crate) fn change_password(
        &mut self,
        step: &mut Step<'_>,
        old: Password,
        new: Password,
    ) -> Result<Begun, EngineError> {
        password::change(&mut self.password_change, step, old, new)
    }

    /// Goes on with the account request.
    pub(crate) fn advance(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        self.sign_up.advance(step, self.me.get())
    }

    /// Makes the requests of the commands that are one request.
    pub(crate) fn advance_calls(step: &mut Step<'_>) -> Result<(), EngineError> {
        calls::advance(step)
    }

    /// Goes on with device lists and the password.
    pub(crate) fn advance_devices(&self, step: &mut Step<'_>) -> Result<(), EngineError> {
        self.own_lists.advance(step)?;
        password::advance(&self.password_change, step);
        Ok(())
    }

    /// Returns an access token that is good for now. Without one, what is needed to get it has been begun.
    pub(crate) fn bearer(&mut self, step: &mut Step<'_>) -> Result<Option<AccessToken>, EngineError> {
        if self.is_logged_in() {
            return self.tokens.usable(step, self.me.get());
        }
        if self.log_in_again(step) {
            self.advance(step)?;
        } else {
            self.tell_needs_login(step);
        }
        Ok(None)
    }

    /// Renews the token of an open stream in time.
    pub(crate) fn keep_token_fresh(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        self.tokens.keep_fresh(step, self.me.get())
    }

    /// Forgets the access token, which the server no longer accepts.
    pub(crate) fn forget_access_token(&mut self) {
        self.tokens.forget_access_token();
    }

    /// Logs in again on this device with the password at hand. Returns whether a request is under way.
    fn log_in_again(&mut self, step: &mut Step<'_>) -> bool {
        if self.sign_up.is_pending() {
            return true;
        }
        let (Some(me), Some(password)) = (self.me.get(), self.password.clone()) else { return false };
        let username = me.username.clone();
        matches!(self.log_in(step, username, password, false), Begun::Waits(_))
    }

    /// Tells that only a person can go on.
    fn tell_needs_login(&mut self, step: &mut Step<'_>) {
        if !std::mem::replace(&mut self.told_needs_login, true) {
            step.emit(Event::NeedsLogin);
        }
        step.tell(Fact::NeedsLogin);
    }

    /// Takes the server's id.
    pub(crate) fn on_server_info(&mut self, step: &mut Step<'_>, answer: &Answer) {
        self.sign_up.on_server_info(step, answer);
    }

    /// Takes the list that a new identity is chained to.
    pub(crate) fn on_current_identity(&mut self, step: &mut Step<'_>, answer: &Answer) -> Result<(), EngineError> {
        let prekeys = &self.prekeys;
        let newest_signed = |step: &mut Step<'_>, me: &Me| prekeys.newest_signed(step, me);
        let answered = self.sign_up.on_current_identity(step, self.me.get(), answer, newest_signed)?;
        self.take_answer(step, answered)
    }

    /// Takes the answer to the account request.
    pub(crate) fn on_account_answer(&mut self, step: &mut Step<'_>, answer: &Answer) -> Result<(), EngineError> {
        let answered = self.sign_up.on_answer(step, answer);
        self.take_answer(step, answered)
    }

    fn take_answer(&mut self, step: &mut Step<'_>, answered: Answered) -> Result<(), EngineError> {
        match answered {
            Answered::GoesOn => {}
            Answered::Granted(request, grant) => {
                let mut made = request.made.ok_or(EngineError::Internal)?;
                let joined = if let Aim::Join(device) = request.aim { Some(*device) } else { None };
                if let Some(device) = joined.or(made.device) {
                    self.me.set(Me::from_stored(device.me).ok_or(EngineError::Internal)?);
                    self.offered.take();
                    self.own_lists.forget();
                    self.prekeys.begin(step.vault, device.keys, &device.pairs)?;
                    step.tell(Fact::BecameDevice);
                }
                made.login.granted(step.now, &grant);
                self.tokens.set(made.login);
                self.password = Some(request.password);
                step.tell(Fact::LoggedIn);
            }
            Answered::Dropped(code) => {
                if code == Some(ProblemCode::LoginFailed) {
                    self.password = None;
                }
                if self.me().is_some() && !self.is_logged_in() {
                    self.tell_needs_login(step);
                }
            }
        }
        Ok(())
    }

    /// Returns how the commands that wait for the account request end.
    pub(crate) fn outcome(&self) -> Result<Outcome, CommandError> {
        self.info().map(Outcome::Account).ok_or(CommandError::Internal)
    }

    /// Takes the answer to a refresh of the tokens.
    pub(crate) fn on_refresh_answer(&mut self, step: &mut Step<'_>, answer: &Answer) {
        if self.tokens.on_answer(step, answer) {
            step.tell(Fact::StreamUnwelcome);
            if !self.log_in_again(step) {
                self.tell_needs_login(step);
            }
        }
    }

    /// Takes the answer to the password change.
    pub(crate) fn on_password_answer(&mut self, step: &mut Step<'_>, answer: &Answer) {
        if let Changed::Yes(password) = password::on_answer(&mut self.password_change, step, answer) {
            // The access token was made for the password before.
            self.forget_access_token();
            self.password = password;
        }
    }

    /// Takes the answer to a command that is one request.
    pub(crate) fn on_call_answer(&self, step: &mut Step<'_>, id: CommandId, answer: &Answer) {
        calls::on_answer(step, id, self.tokens.session(), answer);
    }

    /// Forgets the log-in, as asked.
    pub(crate) fn end_login(&mut self) {
        self.tokens.end();
        self.password = None;
    }

    /// Forgets everything after the account was deleted.
    pub(crate) fn forget(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        self.end_login();
        self.me.take();
        self.offered.take();
        if self.sign_up.is_pending() {
            self.sign_up.forget();
            step.complete_all(|waiting| matches!(waiting, Waiting::Account), &Err(CommandError::Superseded));
        }
        self.own_lists.forget();
        self.password_change.take();
        self.prekeys.forget(step.vault)
    }
}

/// Reads bytes as each record of the account.
#[cfg(fuzzing)]
pub(crate) fn read_any_record(bytes: &[u8]) {
    use super::codec::parse;
    let _ = parse::<tokens::Login>(bytes, "a record");
    let _ = parse::<prekeys::Keys>(bytes, "a record");
    let _ = parse::<prekeys::PrekeyUpload>(bytes, "a record");
    let _ = parse::<AccountRequest>(bytes, "a record");
    let _ = parse::<offer::Offered>(bytes, "a record");
    let _ = parse::<own_lists::ListsToPublish>(bytes, "a record");
    let _ = parse::<PasswordChange>(bytes, "a record");
}
