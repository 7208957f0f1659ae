//! What is begun at the end of each input: everything that is wanted and can be begun now.

use super::facts::settle;
use super::sending;
use crate::engine::account::Account;
use crate::engine::effect::{Effect, Request};
use crate::engine::error::EngineError;
use crate::engine::parts::{Parts, people};
use crate::engine::sessions::repair;
use crate::engine::step::Step;

/// Looks at everything that is wanted, and begins what can be begun.
pub(crate) fn advance(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    settle(parts, step)?;
    parts.account.advance(step)?;
    if parts.account.me().is_none() {
        return Ok(());
    }
    Account::advance_calls(step)?;
    grant(parts, step)?;
    advance_stream(parts, step)?;
    let written_to = parts.link.is_wanted().then(|| parts.outbox.unresolved_names());
    parts.directory.advance(step, parts.account.me(), written_to)?;
    grant(parts, step)?;
    parts.account.advance_devices(step)?;
    grant(parts, step)?;
    advance_order(parts, step)?;
    if parts.link.is_wanted() {
        parts.account.prekeys.advance(step)?;
        grant(parts, step)?;
        advance_repairs(parts, step)?;
        sending::advance(parts, step)?;
        grant(parts, step)?;
    }
    Ok(())
}

/// Makes the requests that wait for an access token, if there is one.
fn grant(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    for ask in step.lent.requests.take_asks() {
        if let Some(bearer) = parts.account.bearer(step)? {
            let id = step.lent.requests.begin(ask.purpose);
            let (method, path, body) = (ask.method, ask.path, ask.body);
            step.effect(Effect::Request(Request { id, method, path, body, bearer: Some(bearer) }));
        }
        settle(parts, step)?;
    }
    Ok(())
}

/// Keeps the token of an open stream fresh, or opens a stream.
fn advance_stream(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    if !parts.link.is_closed() {
        parts.account.keep_token_fresh(step)?;
    }
    if parts.link.is_to_be_opened(step)
        && let Some(bearer) = parts.account.bearer(step)?
    {
        parts.link.open(step, bearer);
    }
    settle(parts, step)
}

/// Gives up waiting for what is missing, where its time is over; tells when all that waited was taken in.
fn advance_order(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    for account in parts.inbox.overdue_names(step, people(&parts.account, &parts.directory)) {
        parts.directory.give_up_name(step, account);
        settle(parts, step)?;
    }
    parts.inbox.give_up(step, people(&parts.account, &parts.directory), parts.link.is_draining());
    settle(parts, step)?;
    if !parts.inbox.waits_for_name() {
        parts.link.tell_drained(step);
    }
    Ok(())
}

/// Asks for messages again, once all that waited was taken in, so that one request names all that failed.
fn advance_repairs(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    if parts.link.is_drained() {
        for (address, failed) in repair::due(step, people(&parts.account, &parts.directory)) {
            parts.outbox.ask_again(step, address, failed)?;
        }
    }
    Ok(())
}
