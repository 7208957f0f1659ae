//! Repair: what could not be decrypted is asked for again, in a new session. Within limits, because a server could make
//! messages fail on purpose.

use sealpost_api::ids::MessageNumber;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use crate::engine::codec::Bin32;
use crate::engine::content::REPAIR_MAX;
use crate::engine::fact::Notable;
use crate::engine::model::Undecryptable;
use crate::engine::people::People;
use crate::engine::records::{Contact, Peer};
use crate::engine::step::Step;

/// Least time between two repairs with a device, in ms.
const REPAIR_EVERY_MS: u64 = 10 * 60_000;
/// Repairs with a device in a day.
const REPAIRS_A_DAY: usize = 5;
const DAY_MS: u64 = 24 * 3_600_000;

/// Returns from when on a repair with a device may be asked for.
fn repair_at(peer: &Peer, now: UnixMillis) -> UnixMillis {
    let asked = &peer.repair.asked_at;
    let after_last = asked.last().map_or(UnixMillis(0), |last| UnixMillis(*last).saturating_add(REPAIR_EVERY_MS));
    let today = asked.iter().filter(|at| UnixMillis(**at).saturating_add(DAY_MS) > now).count();
    match asked.first() {
        Some(first) if today >= REPAIRS_A_DAY => after_last.max(UnixMillis(*first).saturating_add(DAY_MS)),
        _ => after_last,
    }
}

/// Reports a message that could not be decrypted, once, and asks for it again if that may help.
pub(crate) fn undecryptable(
    step: &mut Step<'_>,
    people: People<'_>,
    from: DeviceAddress,
    (number, hash): (MessageNumber, [u8; 32]),
    reason: Undecryptable,
) {
    let contact = people.contact(from.account);
    let accepted = contact.is_some_and(|contact| contact.accepts(&from));
    // A later message may tell who this is; what can be asked for is looked at once all has been taken in.
    let stranger = contact.is_none();
    let mut asked_again = false;
    if (accepted || stranger) && reason != Undecryptable::BadRecord {
        let now = step.now;
        let peer = step.peer(from);
        if peer.repair.failed.len() < REPAIR_MAX && repair_at(peer, now) < now.saturating_add(REPAIR_EVERY_MS) {
            peer.repair.failed.push((number.0, Bin32(hash)));
            asked_again = accepted;
        }
    }
    step.note(Notable::Undecryptable { from, number: number.0, reason, asked_again });
}

/// Records that a message of a device was decrypted.
pub(crate) fn heard(step: &mut Step<'_>, from: DeviceAddress) {
    let repaired = step.lent.peers.get(&from).is_some_and(|peer| peer.repair.awaiting);
    let first = step.lent.peers.get(&from).is_none_or(|peer| !peer.heard);
    if repaired || first {
        let peer = step.peer(from);
        peer.repair.awaiting = false;
        peer.heard = true;
    }
    if repaired {
        step.note(Notable::SessionRepaired { from });
    }
}

/// Records that the server accepted a repair request.
pub(crate) fn asked(step: &mut Step<'_>, address: DeviceAddress) {
    step.peer(address).repair.awaiting = true;
}

/// Returns what is to be asked for now, by device. One request names all that failed.
pub(crate) fn due(step: &mut Step<'_>, people: People<'_>) -> Vec<(DeviceAddress, Vec<(u64, Bin32)>)> {
    let now = step.now;
    let failed = step.lent.peers.iter().filter(|(_, peer)| !peer.repair.failed.is_empty());
    let failed: Vec<_> = failed.map(|(address, peer)| (*address, repair_at(peer, now))).collect();
    let mut due = Vec::new();
    for (address, at) in failed {
        if !people.contact(address.account).is_some_and(|contact: &Contact| contact.accepts(&address)) {
            continue;
        }
        if at > now {
            step.wake_at(at);
            continue;
        }
        let repair = &mut step.peer(address).repair;
        repair.asked_at.push(now.0);
        if repair.asked_at.len() > REPAIRS_A_DAY {
            repair.asked_at.remove(0);
        }
        due.push((address, std::mem::take(&mut repair.failed)));
    }
    due
}
