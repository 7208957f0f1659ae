//! What concerns almost every part: another registration, the end of a log-in or an account, a roll-back, and devices and
//! strangers that are forgotten.

use sealpost_crypto::{AccountId, DeviceAddress};

use crate::engine::error::EngineError;
use crate::engine::event::OfflineReason;
use crate::engine::inbox::forget_seen;
use crate::engine::parts::{Parts, people};
use crate::engine::step::Step;
use crate::engine::timeline::StoredLimit;

/// Resets the counters for a new registration. Nothing of an earlier one may be used any more.
pub(super) fn became_device(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    parts.link.close(step);
    parts.sessions.clear(step.vault)?;
    // Others count from 1 again for this registration.
    step.lent.peers.clear(step.vault)?;
    parts.outbox.begin_anew(step)
}

/// Ends the login as requested.
pub(super) fn end_login(parts: &mut Parts, step: &mut Step<'_>) {
    parts.account.end_login();
    parts.link.go_offline(step, OfflineReason::NotLoggedIn);
}

/// Forgets the keys and sessions of a deleted account. The history and the contacts stay.
pub(super) fn erased(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    end_login(parts, step);
    parts.account.forget(step)?;
    parts.sessions.clear(step.vault)?;
    parts.outbox.clear(step.vault)
}

/// Retires all sessions and one-time prekeys, because they may have been used elsewhere since: no session may send, and
/// no one-time prekey may be used again.
pub(super) fn retire_ratchets(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    parts.outbox.begin_sequence(step)?;
    parts.sessions.retire(step.vault)?;
    parts.account.prekeys.retire(step)
}

/// Forgets a stranger, with its devices.
pub(super) fn drop_stranger(parts: &mut Parts, step: &mut Step<'_>, account: AccountId) -> Result<(), EngineError> {
    let devices = step.lent.peers.iter().map(|(address, _)| *address).filter(|address| address.account == account);
    for address in devices.collect::<Vec<_>>() {
        forget_device(parts, step, address)?;
    }
    parts.directory.forget(account);
    parts.outbox.forget_account(step.vault, account)?;
    parts.timeline.count_limited(step, StoredLimit::StrangerContacts)
}

/// Forgets everything about a device but what was shown of it. What still waited is shown first.
pub(super) fn forget_device(parts: &mut Parts, step: &mut Step<'_>, address: DeviceAddress) -> Result<(), EngineError> {
    for held in parts.inbox.take_all(address) {
        parts.timeline.show(step, people(&parts.account, &parts.directory), held)?;
    }
    parts.outbox.forget_device(step.vault, address)?;
    if let Some(peer) = step.lent.peers.remove(&address) {
        forget_seen(step.vault, &address, peer.seen)?;
    }
    parts.sessions.forget(step.vault, &address)
}
