//! Commands: what is begun for each, and how it is answered.

use sealpost_api::accounts::{DeleteAccountRequest, ErasureReport};
use sealpost_api::encoding::B64;
use sealpost_api::ids::SessionId;
use sealpost_api::password::Password;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::{SessionList, SessionsEnded};
use sealpost_api::username::Username;
use sealpost_crypto::{DeviceId, UnixMillis};

use super::command::{Command, CommandError, CommandId, InvalidCommand, Outcome};
use super::effect::Method;
use super::event::{Event, OfflineReason};
use super::http::{Answer, Purpose, body};
use super::model::SessionRow;
use super::{Context, Engine, EngineError, Link};

/// What a command that has not ended waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The pending account request.
    Account,
    /// The answer for an outbox item.
    Send {
        item: u64,
    },
    LookUp(Username),
    /// A welcome.
    Online,
    /// The account's own lists.
    OwnLists,
    /// The own list that is being published.
    Publish {
        added: bool,
    },
    Password,
    /// A prekey upload.
    Rotation,
    Call(Call),
}

/// A command that is one request.
#[derive(Debug)]
pub(super) enum Call {
    Logout,
    Delete(Password),
    Export,
    Sessions,
    EndSession(SessionId),
    EndAll,
    KeyStatus,
}

impl Engine {
    pub(super) fn on_command(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<(), EngineError> {
        // Whoever asks may try anew at once, and hears anew what is missing.
        self.told_needs_login = false;
        self.backoffs.clear();
        self.stream_backoff.try_now();
        let begun = match command {
            Command::Register { username, password, invite } => self.register(context, username, password, invite)?,
            Command::Login { username, password, new_identity } => {
                self.begin_login(context, username, password, new_identity)?
            }
            Command::OfferDevice { username, account, device } => {
                self.offer_device(context, username, account, device)?
            }
            Command::JoinDevice { password, device_list } => self.join_device(context, password, &device_list)?,
            _ if self.me.is_none() => Err(InvalidCommand::NoAccount.into()),
            Command::Logout => Ok(Begun::Waits(Waiting::Call(Call::Logout))),
            Command::ChangePassword { old, new } => self.change_password(context, old, new)?,
            Command::DeleteAccount { password } => Ok(Begun::Waits(Waiting::Call(Call::Delete(password)))),
            Command::Export => Ok(Begun::Waits(Waiting::Call(Call::Export))),
            Command::Send { to, text } => return self.queue_text(context, id, to, text),
            Command::LookUp(name) if self.me.as_ref().is_some_and(|me| me.username == name) => {
                Err(InvalidCommand::ToSelf.into())
            }
            Command::LookUp(name) => Ok(Begun::Waits(Waiting::LookUp(name))),
            Command::MarkVerified(name) => self.mark_verified(context, &name)?,
            Command::AcceptIdentity(name) => self.accept_identity(context, &name)?,
            Command::AddDevice(offer) => self.add_device(context, *offer)?,
            Command::RemoveDevice(device) => self.remove_device(context, device)?,
            Command::RefreshDevices => {
                self.wanted_lists.extend(self.me.as_ref().map(|me| me.address.account));
                Ok(Begun::Waits(Waiting::OwnLists))
            }
            Command::ListSessions => Ok(Begun::Waits(Waiting::Call(Call::Sessions))),
            Command::EndSession(session) => Ok(Begun::Waits(Waiting::Call(Call::EndSession(session)))),
            Command::EndAllSessions => Ok(Begun::Waits(Waiting::Call(Call::EndAll))),
            Command::RotateKeys => {
                self.online_wanted = true;
                self.want_rotation(context)?;
                Ok(Begun::Waits(Waiting::Rotation))
            }
            Command::KeyStatus => Ok(Begun::Waits(Waiting::Call(Call::KeyStatus))),
            Command::GoOnline => {
                self.online_wanted = true;
                if self.link == Link::Ready {
                    Ok(Begun::Done(Outcome::Done))
                } else {
                    Ok(Begun::Waits(Waiting::Online))
                }
            }
            Command::GoOffline => {
                self.go_offline(OfflineReason::Asked);
                Ok(Begun::Done(Outcome::Done))
            }
        };
        match begun {
            Ok(Begun::Waits(waiting)) => {
                self.waiting.insert(id, waiting);
            }
            Ok(Begun::Done(outcome)) => self.complete(id, Ok(outcome)),
            Err(error) => self.complete(id, Err(error)),
        }
        Ok(())
    }

    /// Ends a command.
    pub(super) fn complete(&mut self, id: CommandId, outcome: Result<Outcome, CommandError>) {
        self.waiting.remove(&id);
        self.emit(Event::Completed { id, outcome });
    }

    /// Ends the commands that wait for what `matches`.
    pub(super) fn complete_all(
        &mut self,
        matches: impl Fn(&Waiting) -> bool,
        outcome: &Result<Outcome, CommandError>,
    ) -> bool {
        let ids: Vec<CommandId> =
            self.waiting.iter().filter(|(_, waiting)| matches(waiting)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.complete(*id, outcome.clone());
        }
        !ids.is_empty()
    }

    /// Ends every command. What is stored goes on.
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as all that a failure leads to")]
    pub(super) fn fail_commands(
        &mut self,
        _context: &mut Context<'_>,
        error: &CommandError,
    ) -> Result<(), EngineError> {
        self.complete_all(|_| true, &Err(error.clone()));
        Ok(())
    }

    /// Begins the requests of the commands that are one request.
    pub(super) fn advance_calls(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let calls: Vec<CommandId> =
            self.waiting.iter().filter(|(_, waiting)| matches!(waiting, Waiting::Call(_))).map(|(id, _)| *id).collect();
        for id in calls {
            if !self.may_ask(context, &Purpose::Call(id)) {
                continue;
            }
            let Some(bearer) = self.bearer(context)? else { return Ok(()) };
            let Some(Waiting::Call(call)) = self.waiting.get(&id) else { continue };
            let (method, path, body) = match call {
                Call::Logout => (Method::Delete, "/v1/sessions/current".to_owned(), None),
                Call::Delete(password) => {
                    let body = super::codec::write(&DeleteAccountRequest { password: password.clone() })?;
                    (Method::Post, "/v1/account/delete".to_owned(), Some(body))
                }
                Call::Export => (Method::Get, "/v1/account/export".to_owned(), None),
                Call::Sessions => (Method::Get, "/v1/sessions".to_owned(), None),
                Call::EndSession(session) => (Method::Delete, format!("/v1/sessions/{}", path_id(session)?), None),
                Call::EndAll => (Method::Delete, "/v1/sessions".to_owned(), None),
                Call::KeyStatus => (Method::Get, "/v1/prekeys".to_owned(), None),
            };
            self.ask_raw(context, Purpose::Call(id), (method, path), body, Some(bearer));
        }
        Ok(())
    }

    pub(super) fn on_call_answer(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let Some(Waiting::Call(call)) = self.waiting.get(&id) else { return Ok(()) };
        let bytes = match answer {
            Answer::Failed => return Ok(()),
            // The access token was good when the request was made; the next one will be.
            Answer::Refused(refusal) if refusal.code == ProblemCode::Unauthenticated => return Ok(()),
            Answer::Refused(refusal) => {
                let refusal = *refusal;
                // The session that was to end is not there: that is what was asked for.
                let ended = matches!(call, Call::EndSession(_)) && refusal.code == ProblemCode::NotFound;
                self.complete(id, if ended { Ok(Outcome::Ended(0)) } else { Err(refusal.into()) });
                return Ok(());
            }
            Answer::Done(bytes) => bytes,
        };
        let text = || String::from_utf8(bytes.to_vec()).ok();
        let outcome = match call {
            Call::Logout => {
                self.end_login(context)?;
                Some(Outcome::Done)
            }
            Call::Delete(_) => {
                let report = body::<ErasureReport>(bytes).and_then(|_| text());
                self.forget_account(context)?;
                report.map(Outcome::Erased)
            }
            Call::Export => text().map(Outcome::Export),
            Call::Sessions => body::<SessionList>(bytes).and_then(|list| session_rows(&list)).map(Outcome::Sessions),
            Call::EndSession(session) => {
                let own = self.login.as_ref().is_some_and(|login| login.session == *session);
                if own {
                    self.end_login(context)?;
                }
                body::<SessionsEnded>(bytes).map(|answer| Outcome::Ended(answer.ended))
            }
            Call::EndAll => {
                self.end_login(context)?;
                body::<SessionsEnded>(bytes).map(|answer| Outcome::Ended(answer.ended))
            }
            Call::KeyStatus => body(bytes).map(|status| Outcome::Keys(super::prekeys::key_status(&status))),
        };
        self.complete(id, outcome.ok_or(CommandError::BadAnswer));
        Ok(())
    }
}

/// How a command begins.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
pub(super) enum Begun {
    /// It waits for something.
    Waits(Waiting),
    /// It ended at once.
    Done(Outcome),
}

impl From<InvalidCommand> for CommandError {
    fn from(invalid: InvalidCommand) -> Self {
        Self::Invalid(invalid)
    }
}

/// An id as it stands in a path: unpadded base64url.
pub(super) fn path_id<T: sealpost_api::encoding::Binary + Copy>(id: &T) -> Result<String, EngineError> {
    match serde_json::to_value(B64(*id)) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(EngineError::Internal),
    }
}

fn session_rows(list: &SessionList) -> Option<Vec<SessionRow>> {
    list.sessions
        .iter()
        .map(|info| {
            Some(SessionRow {
                session: info.session_id.0,
                device: DeviceId::new(info.device_id).ok()?,
                created_at: UnixMillis(info.created_at),
                last_used_at: UnixMillis(info.last_used_at),
                current: info.current,
            })
        })
        .collect()
}
