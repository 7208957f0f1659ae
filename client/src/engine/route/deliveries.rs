//! Messages taken in: recognised, opened, checked, and acked once all that is on disk.

use sealpost_api::frames::Deliver;
use sealpost_crypto::{Decrypted, DeviceAddress, InitialInfo};
use sealpost_sabotage::{Countermeasure, refuses, without};
use sha2::{Digest as _, Sha256};

use super::facts::settle;
use super::life::forget_device;
use crate::engine::account::Prekeys;
use crate::engine::content::envelope::Envelope;
use crate::engine::content::{Content, RepairRequest};
use crate::engine::error::EngineError;
use crate::engine::fact::Notable;
use crate::engine::inbox::{Sighting, flags, is_trusted, remember, sight, surplus_devices};
use crate::engine::model::Undecryptable;
use crate::engine::parts::{Parts, people};
use crate::engine::sessions::{Opened, repair};
use crate::engine::step::Step;
use crate::engine::timeline::StoredLimit;

/// Takes a message in. Whatever it is, it is acked and not delivered again: what can't be read is told once and does not
/// stop the rest.
pub(super) fn on_deliver(parts: &mut Parts, step: &mut Step<'_>, deliver: &Deliver) -> Result<(), EngineError> {
    if !without(Countermeasure::AckUndecryptable) {
        parts.link.ack(deliver.id);
    }
    let (from, number) = (deliver.from, deliver.number.0);
    let hash: [u8; 32] = Sha256::digest(&deliver.ciphertext).into();
    match sight(step.vault, from, number, &hash)? {
        Sighting::Duplicate => return Ok(()),
        Sighting::Reused => step.note(Notable::NumberReused { from, number }),
        Sighting::New => {
            meet(parts, step, from)?;
            remember(step, from, number, &hash)?;
        }
    }
    settle(parts, step)?;
    match open(parts, step, deliver)? {
        Opened::Duplicate => Ok(()),
        Opened::Failed(reason) => {
            undecryptable(parts, step, deliver, hash, reason);
            Ok(())
        }
        Opened::Message(decrypted) => on_decrypted(parts, step, deliver, hash, decrypted),
    }
}

/// Begins to remember a device that was never heard of. Strangers beyond the limit are forgotten.
fn meet(parts: &mut Parts, step: &mut Step<'_>, newcomer: DeviceAddress) -> Result<(), EngineError> {
    if step.lent.peers.contains(&newcomer) {
        return Ok(());
    }
    let people = people(&parts.account, &parts.directory);
    for address in surplus_devices(&step.lent.peers, people, &newcomer) {
        forget_device(parts, step, address)?;
        parts.timeline.count_limited(step, StoredLimit::StrangerDevices)?;
    }
    let now = step.now.0;
    step.peer(newcomer).since = now;
    Ok(())
}

fn open(parts: &mut Parts, step: &mut Step<'_>, deliver: &Deliver) -> Result<Opened, EngineError> {
    let Ok(info) = InitialInfo::peek(&deliver.ciphertext) else {
        return Ok(Opened::Failed(Undecryptable::Malformed));
    };
    let privates = Prekeys::privates(step, info.as_ref())?;
    let people = people(&parts.account, &parts.directory);
    let opened = parts.sessions.open(step, people, (deliver.from, &deliver.ciphertext), info.as_ref(), &privates)?;
    if let Opened::Message(decrypted) = &opened
        && let Some(id) = decrypted.used_one_time_prekey
        && refuses(Countermeasure::InitialMessageOnce, true)
    {
        Prekeys::spend(step.vault, id)?;
    }
    Ok(opened)
}

fn undecryptable(parts: &Parts, step: &mut Step<'_>, deliver: &Deliver, hash: [u8; 32], reason: Undecryptable) {
    let people = people(&parts.account, &parts.directory);
    repair::undecryptable(step, people, deliver.from, (deliver.number, hash), reason);
}

fn on_decrypted(
    parts: &mut Parts,
    step: &mut Step<'_>,
    deliver: &Deliver,
    hash: [u8; 32],
    decrypted: Decrypted,
) -> Result<(), EngineError> {
    let from = deliver.from;
    let Ok(envelope) = Envelope::decode(&decrypted.plaintext) else {
        undecryptable(parts, step, deliver, hash, Undecryptable::BadRecord);
        return Ok(());
    };
    if let Some(list) = decrypted.sender_list
        && people(&parts.account, &parts.directory).own(from.account).is_none()
    {
        parts.directory.meet(step, list, envelope.name.clone());
        settle(parts, step)?;
    }
    repair::heard(step, from);
    let people = people(&parts.account, &parts.directory);
    let flags = flags(people, from, parts.sessions.identity(&from), envelope.number != deliver.number);
    let asked = match &envelope.content {
        Content::RepairRequest(asked) if is_trusted(&flags) => Some(asked.clone()),
        _ => None,
    };
    parts.inbox.take_in(step, people, deliver, envelope, &flags);
    match asked {
        Some(asked) => send_again(parts, step, from, &asked),
        None => Ok(()),
    }
}

/// Handles a device's request for messages again.
fn send_again(
    parts: &mut Parts,
    step: &mut Step<'_>,
    from: DeviceAddress,
    asked: &RepairRequest,
) -> Result<(), EngineError> {
    if parts.directory.get(from.account).is_none_or(|contact| !contact.is_accepted()) {
        return Ok(());
    }
    let history = &mut parts.timeline.history;
    for failed in &asked.0 {
        let is_kept = |step: &mut Step<'_>, position| Ok(history.text(step.vault, position)?.is_some());
        parts.outbox.send_to_again(step, from, failed.number, is_kept)?;
    }
    Ok(())
}
