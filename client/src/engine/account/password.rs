//! The change of the account's password.

use sealpost_api::accounts::{ChangePassword, ChangePasswordRequest};
use sealpost_api::password::Password;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::codec::write_text;
use crate::engine::command::{InvalidCommand, Outcome};
use crate::engine::error::EngineError;
use crate::engine::requests::{Answer, Purpose};
use crate::engine::step::Step;
use crate::engine::store::{Record, Single};
use crate::engine::waiting::{Begun, Waiting};
use crate::vault::Table;

/// A password change that was not answered: the exact body, repeated word for word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    body: Zeroizing<String>,
}

impl Record for PasswordChange {
    const TABLE: Table = Table::Request;
    const KEY: &'static [u8] = b"password";
    const WHAT: &'static str = "the password change";
}

/// Begins to change the password, or goes on with it.
pub(super) fn change(
    change: &mut Single<PasswordChange>,
    step: &mut Step<'_>,
    old: Password,
    new: Password,
) -> Result<Begun, EngineError> {
    if new.check_length().is_err() {
        return Ok(InvalidCommand::PasswordLength.into());
    }
    let body = write_text(&ChangePasswordRequest { old_password: old, new_password: new })?;
    change.set(PasswordChange { body });
    step.lent.requests.forgive(&Purpose::ChangePassword);
    Ok(Begun::Waits(Waiting::Password))
}

/// Sends the change.
pub(super) fn advance(change: &Single<PasswordChange>, step: &mut Step<'_>) {
    if let Some(change) = change.get() {
        step.ask_stored(Purpose::ChangePassword, &ChangePassword {}, &change.body);
    }
}

/// What an answer means.
pub(super) enum Changed {
    /// Not yet, or not.
    No,
    /// It was changed; to this password, if that is still known.
    Yes(Option<Password>),
}

/// Takes the answer.
pub(super) fn on_answer(change: &mut Single<PasswordChange>, step: &mut Step<'_>, answer: &Answer) -> Changed {
    let outcome = match answer {
        Answer::Done(_) => Ok(Outcome::Done),
        Answer::Refused(refusal) if (refusal.is_final() || refusal.is_limit()) && !refusal.is_unauthenticated() => {
            Err((*refusal).into())
        }
        Answer::Refused(_) | Answer::Failed => return Changed::No,
    };
    let change = change.take();
    step.lent.requests.forgive(&Purpose::ChangePassword);
    let changed = outcome.is_ok();
    step.complete_all(|waiting| matches!(waiting, Waiting::Password), &outcome);
    if !changed {
        return Changed::No;
    }
    let request = change.and_then(|change| serde_json::from_str::<ChangePasswordRequest>(&change.body).ok());
    Changed::Yes(request.map(|request| request.new_password))
}
