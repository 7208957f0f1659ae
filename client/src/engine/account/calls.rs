//! The commands that are one request.

use sealpost_api::accounts::{DeleteAccount, DeleteAccountRequest, ExportAccount};
use sealpost_api::endpoint::NoBody;
use sealpost_api::ids::SessionId;
use sealpost_api::prekeys::ReadPrekeyStatus;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::{EndAllSessions, EndSession, ListSessions, LogOut, SessionList};
use sealpost_crypto::{DeviceId, UnixMillis};

use super::prekeys::key_status;
use crate::engine::command::{CommandError, CommandId, Outcome};
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::model::SessionRow;
use crate::engine::requests::{Answer, Purpose, read};
use crate::engine::step::Step;
use crate::engine::waiting::{Call, Waiting};

/// Makes the requests of the commands that wait for one.
pub(super) fn advance(step: &mut Step<'_>) -> Result<(), EngineError> {
    let calls: Vec<CommandId> = step
        .lent
        .commands
        .iter()
        .filter_map(|(id, waiting)| matches!(waiting, Waiting::Call(_)).then_some(id))
        .collect();
    for id in calls {
        let purpose = Purpose::Call(id);
        if step.may_ask(&purpose)
            && let Some(Waiting::Call(call)) = step.lent.commands.get(id)
        {
            match call.clone() {
                Call::Logout => step.ask(purpose, &LogOut {}, &NoBody),
                Call::Delete(password) => step.ask(purpose, &DeleteAccount {}, &DeleteAccountRequest { password }),
                Call::Export => step.ask(purpose, &ExportAccount {}, &NoBody),
                Call::Sessions => step.ask(purpose, &ListSessions {}, &NoBody),
                Call::EndSession(session) => step.ask(purpose, &EndSession { session_id: session }, &NoBody),
                Call::EndAll => step.ask(purpose, &EndAllSessions {}, &NoBody),
                Call::KeyStatus => step.ask(purpose, &ReadPrekeyStatus {}, &NoBody),
            }?;
        }
    }
    Ok(())
}

/// Takes the answer to such a request. `own` is this device's log-in.
pub(super) fn on_answer(step: &mut Step<'_>, id: CommandId, own: Option<SessionId>, answer: &Answer) {
    let Some(Waiting::Call(call)) = step.lent.commands.get(id) else { return };
    let bytes = match answer {
        Answer::Failed => return,
        // The access token was good when the request was made; the next one will be.
        Answer::Refused(refusal) if refusal.is_unauthenticated() => return,
        Answer::Refused(refusal) => {
            // The log-in that was to end is not there: that is what was asked for.
            let ended = matches!(call, Call::EndSession(_)) && refusal.code == ProblemCode::NotFound;
            let refusal = *refusal;
            return step.complete(id, if ended { Ok(Outcome::Ended(0)) } else { Err(refusal.into()) });
        }
        Answer::Done(bytes) => bytes,
    };
    let text = || String::from_utf8(bytes.to_vec()).ok();
    let ended = || read::<EndAllSessions>(bytes).map(|answer| Outcome::Ended(answer.ended));
    let (fact, outcome) = match call {
        Call::Logout => (Some(Fact::LoginEnded), Some(Outcome::Done)),
        Call::Delete(_) => {
            let report = read::<DeleteAccount>(bytes).and_then(|_| text());
            (Some(Fact::AccountErased), report.map(Outcome::Erased))
        }
        Call::Export => (None, text().map(Outcome::Export)),
        Call::Sessions => {
            (None, read::<ListSessions>(bytes).and_then(|list| session_rows(&list)).map(Outcome::Sessions))
        }
        Call::EndSession(session) => ((own == Some(*session)).then_some(Fact::LoginEnded), ended()),
        Call::EndAll => (Some(Fact::LoginEnded), ended()),
        Call::KeyStatus => (None, read::<ReadPrekeyStatus>(bytes).map(|status| Outcome::Keys(key_status(&status)))),
    };
    if let Some(fact) = fact {
        step.tell(fact);
    }
    step.tell(Fact::Ended(id, outcome.ok_or(CommandError::BadAnswer)));
}

fn session_rows(list: &SessionList) -> Option<Vec<SessionRow>> {
    let rows = list.sessions.iter().map(|info| {
        Some(SessionRow {
            session: info.session_id.0,
            device: DeviceId::new(info.device_id).ok()?,
            created_at: UnixMillis(info.created_at),
            last_used_at: UnixMillis(info.last_used_at),
            current: info.current,
        })
    });
    rows.collect()
}
