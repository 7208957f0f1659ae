//! Sending: the outbox says what is due, the sessions encrypt it, and the outbox hands it to the stream.

use sealpost_crypto::AccountId;

use super::facts::settle;
use crate::engine::content::Text;
use crate::engine::error::EngineError;
use crate::engine::parts::Parts;
use crate::engine::sessions::ask_for_bundles;
use crate::engine::step::Step;

/// Sends what is due in each lane.
pub(super) fn advance(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    if parts.link.is_ready() {
        parts.outbox.send_again(step)?;
    }
    for head in parts.outbox.heads() {
        send_next(parts, step, head)?;
        settle(parts, step)?;
    }
    Ok(())
}

fn send_next(parts: &mut Parts, step: &mut Step<'_>, head: (AccountId, u64)) -> Result<(), EngineError> {
    let (account, _) = head;
    let Some(contact) = parts.directory.get(account).filter(|_| !parts.directory.awaits_list(account)) else {
        return Ok(());
    };
    let sessions = &parts.sessions;
    let Some(due) = parts.outbox.due(step, head, contact, |address| sessions.is_away(address))? else {
        return Ok(());
    };
    let missing = parts.sessions.missing(step, &contact.list, &due.targets, due.fresh)?;
    if !missing.is_empty() {
        return ask_for_bundles(step, account, &missing);
    }
    let Some(me) = parts.account.me().filter(|me| me.list.contains(&me.address)) else { return Ok(()) };
    if !parts.link.is_ready() || !parts.outbox.has_room() {
        return Ok(());
    }
    let history = &mut parts.timeline.history;
    let content = due.draft.content(|position| {
        let text = history.text(step.vault, position)?.ok_or(EngineError::Record { what: "a message" })?;
        Ok(Text(text))
    })?;
    let mut sealing = parts.outbox.begin(due)?;
    for address in sealing.targets() {
        let envelope = parts.outbox.envelope(step, &mut sealing, me, address, content.clone())?;
        let Some(ciphertext) = parts.sessions.encrypt(step, me, address, &envelope.encode())? else {
            parts.outbox.session_used_up(step, &sealing);
            return Ok(());
        };
        sealing.add(address, ciphertext);
    }
    parts.outbox.send(step, sealing)
}
