//! Registering, logging in, and going on under a new identity: the course of the request.

use sealpost_api::accounts::{CurrentIdentityRequest, ReadCurrentIdentity, Register, ReplaceIdentity};
use sealpost_api::endpoint::NoBody;
use sealpost_api::ids::ServerId;
use sealpost_api::prekeys::SignedPrekeyBody;
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::ReadServerInfo;
use sealpost_api::sessions::{LogIn, SessionGrant};
use sealpost_crypto::DeviceList;

use super::bodies;
use super::request::{AccountRequest, Aim};
use crate::engine::command::{CommandError, InvalidCommand};
use crate::engine::error::EngineError;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, read};
use crate::engine::step::Step;
use crate::engine::store::Single;
use crate::engine::waiting::{Begun, Waiting};
use crate::vault::VaultTransaction;

/// How often a new identity is made anew because another device published a list meanwhile.
const IDENTITY_ATTEMPTS_MAX: u32 = 3;

/// What an answer means for the rest of the account.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
pub(super) enum Answered {
    /// The request continues, or there is nothing to do.
    GoesOn,
    /// It was carried out.
    Granted(AccountRequest, SessionGrant),
    /// It was given up, for this reason if the server named one.
    Dropped(Option<ProblemCode>),
}

/// The account request, and what it has learnt about the server.
pub(super) struct SignUp {
    request: Single<AccountRequest>,
    server: Option<ServerId>,
    identity_attempts: u32,
}

impl SignUp {
    pub(super) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { request: Single::open(vault)?, server: None, identity_attempts: 0 })
    }

    pub(super) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.request.flush(vault)
    }

    /// Returns whether a request is under way.
    pub(super) const fn is_pending(&self) -> bool {
        self.request.get().is_some()
    }

    /// Begins a request, or goes on with it if it asks for the same.
    pub(super) fn begin(&mut self, step: &mut Step<'_>, request: AccountRequest) -> Begun {
        for purpose in [Purpose::Account, Purpose::ServerInfo, Purpose::CurrentIdentity] {
            step.lent.requests.forgive(&purpose);
        }
        if !matches!(request.aim, Aim::Register { .. }) {
            self.identity_attempts = 0;
        }
        if let Some(earlier) = self.request.get() {
            if earlier.is_same(&request) {
                return Begun::Waits(Waiting::Account);
            }
            if !earlier.is_replaceable() {
                return InvalidCommand::Unanswered.into();
            }
            fail(step, &CommandError::Superseded);
            step.lent.requests.ignore(&Purpose::Account);
        }
        self.replace(request)
    }

    /// Begins a request in place of any other.
    pub(super) fn replace(&mut self, request: AccountRequest) -> Begun {
        self.request.set(request);
        Begun::Waits(Waiting::Account)
    }

    /// Forgets the request.
    pub(super) fn forget(&mut self) {
        self.request.take();
    }

    /// Sends what can be sent.
    pub(super) fn advance(&mut self, step: &mut Step<'_>, me: Option<&Me>) -> Result<(), EngineError> {
        let Some(request) = self.request.get() else { return Ok(()) };
        if request.made.is_none() {
            let Some(server) = self.server else {
                return step.ask_openly(Purpose::ServerInfo, &ReadServerInfo {}, &NoBody);
            };
            let made = match &request.aim {
                Aim::Register { invite } => bodies::register(step, server, request, invite.clone())?,
                Aim::Login | Aim::Join(_) => bodies::log_in(step, server, request, me)?,
                Aim::NewIdentity => return ask_for_current_identity(step, request),
            };
            self.request.edit().ok_or(EngineError::Internal)?.made = Some(made);
        }
        self.send(step);
        Ok(())
    }

    fn send(&self, step: &mut Step<'_>) {
        let Some(request) = self.request.get() else { return };
        let Some(made) = &request.made else { return };
        let (purpose, body) = (Purpose::Account, &made.body);
        match request.aim {
            Aim::Register { .. } => step.ask_openly_stored(purpose, &Register {}, body),
            Aim::NewIdentity => step.ask_openly_stored(purpose, &ReplaceIdentity {}, body),
            Aim::Login | Aim::Join(_) => step.ask_openly_stored(purpose, &LogIn {}, body),
        }
    }

    /// Takes the server's id, which every log-in is signed for.
    pub(super) fn on_server_info(&mut self, step: &mut Step<'_>, answer: &Answer) {
        match answer {
            Answer::Done(bytes) => match read::<ReadServerInfo>(bytes) {
                Some(info) => self.server = Some(info.server_id.0),
                None => fail(step, &CommandError::BadAnswer),
            },
            Answer::Refused(refusal) => fail(step, &(*refusal).into()),
            Answer::Failed => {}
        }
    }

    /// Takes the list that a new identity is chained to. `signed_prekey` reads this device's newest one.
    pub(super) fn on_current_identity(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        answer: &Answer,
        signed_prekey: impl FnOnce(&mut Step<'_>, &Me) -> Result<Option<SignedPrekeyBody>, EngineError>,
    ) -> Result<Answered, EngineError> {
        let (Some(server), Some(request)) = (self.server, self.request.get()) else { return Ok(Answered::GoesOn) };
        if !matches!(request.aim, Aim::NewIdentity) {
            return Ok(Answered::GoesOn);
        }
        let bytes = match answer {
            Answer::Done(bytes) => bytes,
            Answer::Refused(refusal) if refusal.is_final() || refusal.is_limit() => {
                let code = refusal.code;
                return Ok(self.give_up(step, &(*refusal).into(), Some(code)));
            }
            Answer::Refused(refusal) => {
                fail(step, &(*refusal).into());
                return Ok(Answered::GoesOn);
            }
            Answer::Failed => return Ok(Answered::GoesOn),
        };
        let current = read::<ReadCurrentIdentity>(bytes).and_then(|current| {
            let list = DeviceList::decode(&current.device_list.0.0).ok()?;
            (list.account() == current.account_id.0).then_some(list)
        });
        let Some(current) = current else { return Ok(self.give_up(step, &CommandError::BadAnswer, None)) };
        let lost = me.and_then(|me| Some((me, bodies::lost_list(me, &current)?)));
        let signed = match lost {
            Some((me, _)) => signed_prekey(step, me)?,
            None => None,
        };
        let made = match (lost, signed) {
            (Some(lost), Some(signed)) => bodies::lost_identity(step, server, request, lost, signed)?,
            _ => bodies::new_identity(step, server, request, &current)?,
        };
        self.request.edit().ok_or(EngineError::Internal)?.made = Some(made);
        Ok(Answered::GoesOn)
    }

    /// Takes the answer to the request itself.
    pub(super) fn on_answer(&mut self, step: &mut Step<'_>, answer: &Answer) -> Answered {
        let Some(request) = self.request.get() else { return Answered::GoesOn };
        match answer {
            Answer::Done(bytes) => {
                let session = request.made.as_ref().map(|made| made.login.session);
                let grant = read::<LogIn>(bytes).filter(|grant| Some(grant.session_id.0) == session);
                if let Some(grant) = grant
                    && let Some(request) = self.request.take()
                {
                    step.lent.requests.forgive(&Purpose::Account);
                    return Answered::Granted(request, grant);
                }
                fail(step, &CommandError::BadAnswer);
                step.back_off(Purpose::Account, None);
                Answered::GoesOn
            }
            Answer::Refused(refusal)
                if refusal.code == ProblemCode::DeviceListConflict
                    && matches!(request.aim, Aim::NewIdentity)
                    && self.identity_attempts < IDENTITY_ATTEMPTS_MAX =>
            {
                // Another device published meanwhile: the same again, chained to the list that is newest now.
                self.identity_attempts += 1;
                step.lent.requests.forgive(&Purpose::Account);
                if let Some(request) = self.request.edit() {
                    request.made = None;
                }
                Answered::GoesOn
            }
            Answer::Refused(refusal) if refusal.is_final() || refusal.is_limit() => {
                self.give_up(step, &(*refusal).into(), Some(refusal.code))
            }
            // Busy, or broken: nobody knows whether it was carried out, so it stays.
            Answer::Refused(refusal) => {
                fail(step, &(*refusal).into());
                Answered::GoesOn
            }
            Answer::Failed => Answered::GoesOn,
        }
    }

    /// Forgets a request that was refused for good.
    fn give_up(&mut self, step: &mut Step<'_>, error: &CommandError, code: Option<ProblemCode>) -> Answered {
        self.request.take();
        step.lent.requests.forgive(&Purpose::Account);
        step.lent.requests.forgive(&Purpose::CurrentIdentity);
        fail(step, error);
        Answered::Dropped(code)
    }
}

fn ask_for_current_identity(step: &mut Step<'_>, request: &AccountRequest) -> Result<(), EngineError> {
    let body =
        CurrentIdentityRequest { username: request.username.as_str().to_owned(), password: request.password.clone() };
    step.ask_openly(Purpose::CurrentIdentity, &ReadCurrentIdentity {}, &body)
}

fn fail(step: &mut Step<'_>, error: &CommandError) {
    step.complete_all(|waiting| matches!(waiting, Waiting::Account), &Err(error.clone()));
}
