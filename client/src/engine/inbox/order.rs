//! Order: each sender device counts what it writes to this one, inside the encryption. So what the server drops, holds
//! back, repeats or exchanges is noticed and shown.

use std::collections::BTreeSet;

use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses, without};

use crate::engine::codec::Bin;
use crate::engine::error::EngineError;
use crate::engine::fact::{Fact, Notable};
use crate::engine::model::MessageFlag;
use crate::engine::people::People;
use crate::engine::records::{Gap, Held, InSequence};
use crate::engine::requests::Purpose;
use crate::engine::step::Step;
use crate::engine::store::Rows;
use crate::vault::VaultTransaction;

/// How long a later message is held for an earlier one that may be on its way, in ms.
const HOLD_MS: u64 = 30_000;
/// How long a stranger's message waits for its sender's name while looking that up fails, in ms: longer than a restart of
/// the server takes. Then it is shown under the account's id.
const NAME_WAIT_MS: u64 = 60_000;
/// Sequences remembered of a device: it begins one for each registration and after a rollback.
const SEQUENCES_MAX: usize = 4;
/// Gaps remembered of a sequence; the oldest is forgotten first, and a message that fills it is shown as late.
const GAPS_MAX: usize = 32;

type Place = (DeviceAddress, u64, u64);

/// The messages that wait for earlier ones, or for their sender's name.
pub(super) struct Order {
    held: Rows<Held>,
}

impl Order {
    pub(super) const fn new(held: Rows<Held>) -> Self {
        Self { held }
    }

    pub(super) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.held.flush(vault)
    }

    /// Takes a message to its place.
    pub(super) fn arrange(&mut self, step: &mut Step<'_>, people: People<'_>, mut held: Held) {
        if without(Countermeasure::CounterOrder) {
            return planted_as_it_comes(step, held);
        }
        let (from, sequence) = (held.from, held.sequence);
        let sequences = &mut step.peer(from).sequences;
        if !sequences.iter().any(|known| known.sequence == sequence) {
            if !sequences.is_empty() {
                held.flags.push(MessageFlag::NewStream.as_str().to_owned());
            }
            if sequences.len() >= SEQUENCES_MAX {
                sequences.remove(0);
            }
            sequences.push(InSequence { sequence, next: 1, last: Some(Bin([0; 32])), gaps: Vec::new() });
        }
        let next = sequences.iter().find(|known| known.sequence == sequence).map_or(1, |known| known.next);
        if held.counter < next {
            return self.take_late(step, people, held);
        }
        // The same counter again while the first waits: the one that came first counts.
        if !self.held.contains(&held.place()) {
            self.held.put(held.place(), held);
        }
        self.pump(step, people, from, sequence);
    }

    /// Takes a counter that others have overtaken: it fills a gap, or it was there before.
    fn take_late(&mut self, step: &mut Step<'_>, people: People<'_>, mut held: Held) {
        let (from, sequence, counter) = held.place();
        let known = step.peer(from).sequences.iter_mut().find(|known| known.sequence == sequence);
        let gap = known.and_then(|known| {
            let index = known.gaps.iter().position(|gap| (gap.first..=gap.last).contains(&counter))?;
            Some(known.gaps.remove(index))
        });
        if let Some(gap) = gap {
            step.tell(Fact::GapFilled { from, sequence, gap, counter });
        }
        held.flags.push(MessageFlag::Late.as_str().to_owned());
        if people.is_named(from.account) {
            return step.tell(Fact::Ready(held));
        }
        // It waits for its sender's name like the others.
        held.in_order = true;
        self.held.put(held.place(), held);
    }

    /// Lets go what has its turn.
    fn pump(&mut self, step: &mut Step<'_>, people: People<'_>, from: DeviceAddress, sequence: u64) {
        loop {
            let known = step.peer(from).sequences.iter_mut().find(|known| known.sequence == sequence);
            let Some(known) = known else { return };
            let place = (from, sequence, known.next);
            let Some(held) = self.held.get(&place).filter(|held| !held.in_order) else { return };
            let altered = known.last.as_ref().is_some_and(|last| last.0 != held.previous);
            known.next = known.next.saturating_add(1);
            known.last = Some(Bin(held.hash));
            if altered {
                step.note(Notable::Altered { from, counter: place.2 });
            }
            if people.is_named(from.account) {
                self.let_go(step, &place);
            } else if let Some(held) = self.held.edit(&place) {
                held.in_order = true;
            }
        }
    }

    fn let_go(&mut self, step: &mut Step<'_>, place: &Place) {
        if let Some(held) = self.held.remove(place) {
            step.tell(Fact::Ready(held));
        }
    }

    fn of(&self, from: DeviceAddress) -> impl Iterator<Item = (&Place, &Held)> {
        self.held.range((from, 0, 0)..=(from, u64::MAX, u64::MAX))
    }

    /// Lets go the messages of an account that waited only for its name.
    pub(super) fn release(&mut self, step: &mut Step<'_>, people: People<'_>, account: AccountId) {
        if !people.is_named(account) {
            return;
        }
        let ready = self.held.iter().filter(|((from, ..), held)| from.account == account && held.in_order);
        let ready: Vec<Place> = ready.map(|(place, _)| *place).collect();
        for place in ready {
            self.let_go(step, &place);
        }
    }

    /// Returns the accounts whose name could not be looked up for too long.
    pub(super) fn overdue_names(&self, step: &mut Step<'_>, people: People<'_>) -> Vec<AccountId> {
        let mut overdue = BTreeSet::new();
        for ((from, ..), held) in self.held.iter().filter(|(_, held)| held.in_order) {
            let contact = people.contact(from.account).filter(|contact| !contact.is_named());
            let Some(Bin(name)) = contact.and_then(|contact| contact.claimed.clone()) else { continue };
            let until = UnixMillis(held.held_at).saturating_add(NAME_WAIT_MS);
            if until > step.now {
                step.wake_at(until);
            } else if step.lent.requests.is_failing(&Purpose::LookUp(name)) {
                overdue.insert(from.account);
            }
        }
        overdue.into_iter().collect()
    }

    /// Gives up waiting for what is missing where its time is over, or everywhere.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>, people: People<'_>, everywhere: bool) {
        while let Some(place) = self.next_overdue(step, everywhere) {
            self.skip_to(step, people, place);
        }
    }

    /// Returns the lowest counter of a sequence that waits for an earlier one and need not wait longer.
    fn next_overdue(&self, step: &mut Step<'_>, everywhere: bool) -> Option<Place> {
        let waiting = self.held.iter().filter(|(_, held)| !held.in_order);
        let mut found = None;
        for ((from, sequence, counter), held) in waiting {
            let until = UnixMillis(held.held_at).saturating_add(HOLD_MS);
            if everywhere || until <= step.now {
                // Places are in ascending order: the first of this sequence that waits is the lowest.
                let of_sequence = self.held.range((*from, *sequence, 0)..=(*from, *sequence, *counter));
                let lowest = of_sequence.filter(|(_, held)| !held.in_order).map(|(place, _)| *place).next();
                found = found.or(lowest);
            } else {
                step.wake_at(until);
            }
        }
        found
    }

    /// Goes on at a counter: what is missing before it is a gap, and told.
    fn skip_to(&mut self, step: &mut Step<'_>, people: People<'_>, place: Place) {
        let (from, sequence, counter) = place;
        let known = step.peer(from).sequences.iter_mut().find(|known| known.sequence == sequence);
        let first = known.map(|known| {
            known.last = None;
            std::mem::replace(&mut known.next, counter)
        });
        match first {
            Some(first) if refuses(Countermeasure::GapNotice, first < counter) => {
                step.tell(Fact::GapFound { from, sequence, first, last: counter.saturating_sub(1) });
                self.pump(step, people, from, sequence);
            }
            // The sequence was forgotten, or has gone past: it is shown as it is.
            _ => self.let_go(step, &place),
        }
    }

    /// Returns whether a message waits only for its sender's name.
    pub(super) fn waits_for_name(&self) -> bool {
        self.held.iter().any(|(_, held)| held.in_order)
    }

    /// Removes and returns what waits of a device.
    pub(super) fn take_all(&mut self, address: DeviceAddress) -> Vec<Held> {
        let places: Vec<Place> = self.of(address).map(|(place, _)| *place).collect();
        places.iter().filter_map(|place| self.held.remove(place)).collect()
    }

    /// Returns how many messages wait.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.held.iter().count()).unwrap_or(u64::MAX)
    }
}

fn planted_as_it_comes(step: &mut Step<'_>, held: Held) {
    step.tell(Fact::Ready(held));
}

/// Remembers a gap of a sequence.
pub(super) fn remember_gap(step: &mut Step<'_>, from: DeviceAddress, sequence: u64, gap: Gap) {
    if let Some(known) = step.peer(from).sequences.iter_mut().find(|known| known.sequence == sequence) {
        if known.gaps.len() >= GAPS_MAX {
            known.gaps.remove(0);
        }
        known.gaps.push(gap);
    }
}

/// Says again what is still missing of a gap that one counter has come of, if the notice of it was taken back. If not,
/// that notice stands for the rest as well.
pub(super) fn split_gap(
    step: &mut Step<'_>,
    (from, sequence): (DeviceAddress, u64),
    gap: Gap,
    counter: u64,
    withdrawn: bool,
) {
    let before = (gap.first, counter.saturating_sub(1));
    let after = (counter.saturating_add(1), gap.last);
    for (first, last) in [before, after].into_iter().filter(|(first, last)| first <= last) {
        if withdrawn {
            step.tell(Fact::GapFound { from, sequence, first, last });
        } else {
            remember_gap(step, from, sequence, Gap { first, last, notice: gap.notice });
        }
    }
    if !withdrawn {
        step.note(Notable::GapClosed { from, counter });
    }
}
