//! Order: each sender device counts what it writes to this one, inside the encryption. So what the server drops, holds
//! back, repeats or exchanges is noticed and shown.

use std::collections::BTreeSet;

use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};

use super::codec::Bin;
use super::http::Purpose;
use super::model::MessageFlag;
use super::notices::StoredNotice;
use super::state::{Gap, Held, HistoryRow, InStream};
use super::{Context, Engine, EngineError};
use crate::vault::{Log, Table};

/// How long a later message is held for an earlier one that may be on its way, in ms.
const HOLD_MS: u64 = 30_000;
/// How long a stranger's message waits for its sender's name while looking that up fails, in ms: longer than a restart of
/// the server takes. Then it is shown under the account's id.
const NAME_WAIT_MS: u64 = 60_000;
/// Streams remembered of a device: it begins one for each registration and after a rollback.
const STREAMS_MAX: usize = 4;
/// Gaps remembered of a stream; the oldest is forgotten first, and a message that fills it is shown as late.
const GAPS_MAX: usize = 32;

fn held_key(held: &Held) -> Vec<u8> {
    [held.from.to_bytes().as_slice(), &held.stream.to_be_bytes(), &held.counter.to_be_bytes()].concat()
}

impl Engine {
    /// Takes a record to its place.
    pub(super) fn arrange(&mut self, context: &mut Context<'_>, mut held: Held) -> Result<(), EngineError> {
        if without(Countermeasure::CounterOrder) {
            return self.show(context, held);
        }
        let from = held.from;
        let peer = self.peer(from);
        if !peer.streams.iter().any(|stream| stream.stream == held.stream) {
            if !peer.streams.is_empty() {
                held.flags.push(MessageFlag::NewStream.as_str().to_owned());
            }
            if peer.streams.len() >= STREAMS_MAX {
                peer.streams.remove(0);
            }
            peer.streams.push(InStream { stream: held.stream, next: 1, last: Some(Bin([0; 32])), gaps: Vec::new() });
        }
        let next = peer.streams.iter().find(|stream| stream.stream == held.stream).map_or(1, |stream| stream.next);
        if held.counter < next {
            return self.take_late(context, held);
        }
        let (stream, counter) = (held.stream, held.counter);
        let waiting = self.held.entry(from).or_default();
        // The same counter again while the first waits: the one that came first counts.
        waiting.entry((stream, counter)).or_insert(held);
        self.pump(context, from, stream)?;
        self.save_peer(context, from)?;
        let key = (stream, counter);
        if let Some(held) = self.held.get_mut(&from).and_then(|waiting| waiting.get_mut(&key))
            && !held.stored
        {
            held.stored = true;
            let held = held.clone();
            context.save(Table::Inbox, &held_key(&held), &held)?;
        }
        Ok(())
    }

    /// A counter that others have overtaken: it fills a gap, or it was there before.
    fn take_late(&mut self, context: &mut Context<'_>, mut held: Held) -> Result<(), EngineError> {
        let from = held.from;
        let counter = held.counter;
        let peer = self.peer(from);
        let gaps = peer.streams.iter_mut().find(|stream| stream.stream == held.stream).map(|stream| &mut stream.gaps);
        let gap = gaps.and_then(|gaps| {
            let index = gaps.iter().position(|gap| (gap.first..=gap.last).contains(&counter))?;
            Some(gaps.remove(index))
        });
        if let Some(gap) = gap {
            let device = self.stored_device(from);
            let withdrawn = self.withdraw(context, gap.notice)?;
            let before = (gap.first, counter.saturating_sub(1));
            let after = (counter.saturating_add(1), gap.last);
            for (first, last) in [before, after].into_iter().filter(|(first, last)| first <= last) {
                // What is still missing is said again if the notice was taken back, and stays said if not.
                let notice = if withdrawn {
                    self.note_at(context, StoredNotice::Gap { from: device.clone(), first, last })?
                } else {
                    gap.notice
                };
                self.remember_gap(from, held.stream, Gap { first, last, notice });
            }
            if !withdrawn {
                self.note(context, StoredNotice::GapClosed { from: device, counter })?;
            }
            self.save_peer(context, from)?;
        }
        held.flags.push(MessageFlag::Late.as_str().to_owned());
        if self.is_named(from.account) {
            return self.show(context, held);
        }
        // It waits for its sender's name like the others.
        held.in_order = true;
        held.stored = true;
        context.save(Table::Inbox, &held_key(&held), &held)?;
        self.held.entry(from).or_default().insert((held.stream, held.counter), held);
        Ok(())
    }

    fn remember_gap(&mut self, from: DeviceAddress, stream: u64, gap: Gap) {
        let peer = self.peer(from);
        if let Some(stream) = peer.streams.iter_mut().find(|known| known.stream == stream) {
            if stream.gaps.len() >= GAPS_MAX {
                stream.gaps.remove(0);
            }
            stream.gaps.push(gap);
        }
    }

    /// Lets go what has its turn.
    fn pump(&mut self, context: &mut Context<'_>, from: DeviceAddress, stream: u64) -> Result<(), EngineError> {
        loop {
            let streams = self.peers.get_mut(&from).map(|peer| &mut peer.streams);
            let state = streams.and_then(|streams| streams.iter_mut().find(|known| known.stream == stream));
            let Some(state) = state else { return Ok(()) };
            let key = (stream, state.next);
            let waiting = self.held.get(&from).and_then(|waiting| waiting.get(&key));
            let Some(held) = waiting.filter(|held| !held.in_order) else { return Ok(()) };
            let altered = state.last.as_ref().is_some_and(|last| last.0 != held.previous);
            state.next = state.next.saturating_add(1);
            state.last = Some(Bin(held.hash));
            if altered {
                let from = self.stored_device(from);
                self.note(context, StoredNotice::Altered { from, counter: key.1 })?;
            }
            if self.is_named(from.account) {
                let Some(held) = self.take_held(context, from, key)? else { return Ok(()) };
                self.show(context, held)?;
            } else if let Some(held) = self.held.get_mut(&from).and_then(|waiting| waiting.get_mut(&key)) {
                held.in_order = true;
                held.stored = true;
                let held = held.clone();
                context.save(Table::Inbox, &held_key(&held), &held)?;
            }
        }
    }

    pub(super) fn take_held(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        key: (u64, u64),
    ) -> Result<Option<Held>, EngineError> {
        let Some(waiting) = self.held.get_mut(&from) else { return Ok(None) };
        let held = waiting.remove(&key);
        if waiting.is_empty() {
            self.held.remove(&from);
        }
        if let Some(held) = held.as_ref().filter(|held| held.stored) {
            context.erase(Table::Inbox, &held_key(held))?;
        }
        Ok(held)
    }

    /// An account's name is known, or known to stay unknown: what waited only for that is shown.
    pub(super) fn release_account(&mut self, context: &mut Context<'_>, account: AccountId) -> Result<(), EngineError> {
        if !self.is_named(account) {
            return Ok(());
        }
        let ready: Vec<(DeviceAddress, (u64, u64))> = self
            .held
            .iter()
            .filter(|(from, _)| from.account == account)
            .flat_map(|(from, waiting)| waiting.iter().filter(|(_, held)| held.in_order).map(|(key, _)| (*from, *key)))
            .collect();
        for (from, key) in ready {
            if let Some(held) = self.take_held(context, from, key)? {
                self.show(context, held)?;
            }
        }
        Ok(())
    }

    /// Gives up waiting for what is missing, where its time is over; tells when all that waited was taken in.
    pub(super) fn advance_order(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.give_up_names(context)?;
        let all = self.drained && !self.told_drained;
        while let Some((from, stream, counter)) = self.next_overdue(context, all) {
            self.skip_to(context, from, stream, counter)?;
        }
        self.tell_drained();
        Ok(())
    }

    /// Shows under their id the accounts whose name could not be looked up for too long.
    fn give_up_names(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let mut overdue = BTreeSet::new();
        let mut wake = None;
        for (from, waiting) in &self.held {
            let claimed = self.contacts.get(&from.account).and_then(|contact| contact.claimed.clone());
            let Some(Bin(name)) = claimed.filter(|_| !self.is_named(from.account)) else { continue };
            for held in waiting.values().filter(|held| held.in_order) {
                let until = UnixMillis(held.held_at).saturating_add(NAME_WAIT_MS);
                if until > context.now {
                    wake = Some(wake.map_or(until, |earlier: UnixMillis| earlier.min(until)));
                } else if self.backoffs.contains_key(&Purpose::LookUp(name.clone())) {
                    overdue.insert(from.account);
                }
            }
        }
        if let Some(at) = wake {
            self.wake_at(at);
        }
        for account in overdue {
            if let Some(contact) = self.contacts.get_mut(&account) {
                contact.claimed = None;
            }
            self.save_contact(context, account)?;
            self.release_account(context, account)?;
        }
        Ok(())
    }

    /// The lowest counter of a stream that waits for an earlier one and need not wait longer.
    fn next_overdue(&mut self, context: &Context<'_>, all: bool) -> Option<(DeviceAddress, u64, u64)> {
        let mut wake = None;
        let mut found = None;
        for (from, waiting) in &self.held {
            for ((stream, counter), held) in waiting.iter().filter(|(_, held)| !held.in_order) {
                let until = UnixMillis(held.held_at).saturating_add(HOLD_MS);
                if all || until <= context.now {
                    // Keys are in ascending order: the lowest counter of this stream that waits.
                    let lowest = waiting
                        .range((*stream, 0)..=(*stream, *counter))
                        .find(|(_, held)| !held.in_order)
                        .map_or(*counter, |((_, lowest), _)| *lowest);
                    found = found.or(Some((*from, *stream, lowest)));
                } else {
                    wake = Some(wake.map_or(until, |earlier: UnixMillis| earlier.min(until)));
                }
            }
        }
        if let Some(at) = wake {
            self.wake_at(at);
        }
        found
    }

    /// Goes on at a counter: what is missing before it is a gap, and said to be one.
    fn skip_to(
        &mut self,
        context: &mut Context<'_>,
        from: DeviceAddress,
        stream: u64,
        counter: u64,
    ) -> Result<(), EngineError> {
        let peer = self.peer(from);
        let state = peer.streams.iter_mut().find(|known| known.stream == stream);
        let first = state.map(|state| {
            let first = state.next;
            state.next = counter;
            state.last = None;
            first
        });
        match first {
            Some(first) if first < counter && !without(Countermeasure::GapNotice) => {
                let last = counter.saturating_sub(1);
                let device = self.stored_device(from);
                let notice = self.note_at(context, StoredNotice::Gap { from: device, first, last })?;
                self.remember_gap(from, stream, Gap { first, last, notice });
                self.pump(context, from, stream)?;
            }
            // The stream was forgotten, or has gone past: it is shown as it is.
            _ => {
                if let Some(held) = self.take_held(context, from, (stream, counter))? {
                    self.show(context, held)?;
                }
            }
        }
        self.save_peer(context, from)
    }

    /// Writes a message into the history and notes that it is to be shown: once for each message id of a device, however
    /// often and under whatever number it comes.
    pub(super) fn show(&mut self, context: &mut Context<'_>, held: Held) -> Result<(), EngineError> {
        let Some(text) = held.text else { return Ok(()) };
        let key = [held.from.to_bytes().as_slice(), held.message_id.as_bytes()].concat();
        if context.vault.get(Table::Shown, &key)?.is_some() && !without(Countermeasure::ShownOnce) {
            return Ok(());
        }
        let row = HistoryRow {
            sent: false,
            peer: self.label(held.from.account),
            account: Some(Bin(held.from.account)),
            device: held.from.device.get(),
            message_id: held.message_id,
            sent_at: held.sent_at,
            accepted_at: Some(held.accepted_at),
            number: Some(held.number),
            text,
            flags: held.flags,
        };
        let history = context.push(Log::History, &row)?;
        context.vault.put(Table::Shown, &key, &history.to_be_bytes())?;
        self.note(context, StoredNotice::Message { history })
    }
}
