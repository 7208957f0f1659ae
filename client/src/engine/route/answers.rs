//! Answers to HTTP requests, each to the part that asked.

use super::facts::settle;
use crate::engine::effect::{HttpResponse, RequestFailure, RequestId};
use crate::engine::error::EngineError;
use crate::engine::parts::Parts;
use crate::engine::requests::{Answer, Purpose};
use crate::engine::sessions::on_bundles_answer;
use crate::engine::step::Step;

/// Takes an answer.
pub(crate) fn on_response(
    parts: &mut Parts,
    step: &mut Step<'_>,
    request: RequestId,
    result: Result<HttpResponse, RequestFailure>,
) -> Result<(), EngineError> {
    let Some(purpose) = step.lent.requests.end(request) else { return Ok(()) };
    let answer = Answer::sort(result);
    match &answer {
        Answer::Done(_) => {
            // Its failures are forgotten below, unless the answer turns out to be of no use.
            step.lent.requests.try_now(&purpose);
            step.lent.requests.reached();
        }
        Answer::Refused(refusal) => {
            step.lent.requests.reached();
            step.back_off(purpose.clone(), refusal.retry_after);
            if refusal.is_unauthenticated() {
                parts.account.forget_access_token();
            }
        }
        Answer::Failed => {
            step.back_off(purpose.clone(), None);
            step.note_failure();
        }
    }
    dispatch(parts, step, &purpose, &answer)?;
    settle(parts, step)?;
    step.lent.requests.settle(&purpose);
    Ok(())
}

fn dispatch(parts: &mut Parts, step: &mut Step<'_>, purpose: &Purpose, answer: &Answer) -> Result<(), EngineError> {
    let account = &mut parts.account;
    match purpose {
        Purpose::ServerInfo => account.on_server_info(step, answer),
        Purpose::CurrentIdentity => account.on_current_identity(step, answer)?,
        Purpose::Account => account.on_account_answer(step, answer)?,
        Purpose::Refresh => account.on_refresh_answer(step, answer),
        Purpose::PrekeyDiscard => account.prekeys.on_discard_answer(step, account.me.get(), answer)?,
        Purpose::PrekeyStatus => account.prekeys.on_status_answer(step, account.me.get(), answer)?,
        Purpose::PrekeyIds => account.prekeys.on_ids_answer(step, answer)?,
        Purpose::PrekeyUpload => account.prekeys.on_upload_answer(step, answer),
        Purpose::PublishLists => account.own_lists.on_answer(step, &mut account.me, answer),
        Purpose::ChangePassword => account.on_password_answer(step, answer),
        Purpose::Call(id) => account.on_call_answer(step, *id, answer),
        Purpose::LookUp(name) => {
            let written_to = parts.outbox.awaits_name(name);
            parts.directory.on_look_up_answer(step, account.me(), name, answer, written_to);
        }
        Purpose::Lists(of) => parts.directory.on_lists_answer(step, account.me(), *of, answer),
        Purpose::Bundles(of) => on_bundles_answer(step, *of, answer),
    }
    Ok(())
}
