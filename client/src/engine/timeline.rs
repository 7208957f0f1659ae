//! The timeline: what was written and received, what is to be shown once, and how much of that a server can cause.

mod history;
mod limits;
mod marks;
mod notices;
mod shown;
mod stored;

use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, holds};

pub(crate) use history::{History, HistoryRow, NewText};
pub(crate) use stored::{StoredLimit, StoredNotice};

use super::codec::Bin;
use super::error::EngineError;
use super::fact::Notable;
use super::model::{HistoryEntry, Notice};
use super::people::People;
use super::records::Held;
use super::step::Step;
use super::store::Kept;
use crate::vault::{Table, VaultTransaction};
use notices::Notices;

/// The timeline's state.
pub(crate) struct Timeline {
    pub(crate) history: History,
    notices: Notices,
}

impl Timeline {
    /// Reads what is kept in memory.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { history: History::default(), notices: Notices::new(Kept::open(vault)?) })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.history.flush(vault)?;
        self.notices.flush(vault)
    }

    /// Writes a message into the history and notes that it is to be shown: once for each message id of a device, however
    /// often and under whatever number it comes.
    pub(crate) fn show(&mut self, step: &mut Step<'_>, people: People<'_>, held: Held) -> Result<(), EngineError> {
        let Some(text) = held.text else { return Ok(()) };
        let key = [held.from.to_bytes().as_slice(), held.message_id.as_bytes()].concat();
        if !holds(Countermeasure::ShownOnce, step.vault.get(Table::Shown, &key)?.is_none()) {
            return Ok(());
        }
        let row = HistoryRow {
            sent: false,
            peer: people.label(held.from.account),
            account: Some(Bin(held.from.account)),
            device: held.from.device.get(),
            message_id: held.message_id,
            sent_at: held.sent_at,
            accepted_at: Some(held.accepted_at),
            number: Some(held.number),
            text,
            flags: held.flags,
        };
        let history = History::append(step.vault, &row)?;
        step.vault.put(Table::Shown, &key, &history.to_be_bytes())?;
        self.notices.note(step, people, StoredNotice::Message { history }).map(drop)
    }

    /// Notes something that is to be shown once.
    pub(crate) fn note(
        &mut self,
        step: &mut Step<'_>,
        people: People<'_>,
        notable: Notable,
    ) -> Result<(), EngineError> {
        self.notices.note(step, people, StoredNotice::labelled(people, notable)).map(drop)
    }

    /// Notes that counters of a device are missing, and returns where the notice lies.
    pub(crate) fn note_gap(
        &mut self,
        step: &mut Step<'_>,
        people: People<'_>,
        from: DeviceAddress,
        (first, last): (u64, u64),
    ) -> Result<u64, EngineError> {
        self.notices.note(step, people, StoredNotice::gap(people, from, first, last))
    }

    /// Takes back a notice that nobody has seen. Returns whether that was possible.
    pub(crate) fn withdraw(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<bool, EngineError> {
        self.notices.withdraw(vault, position)
    }

    /// Counts what was dropped at a limit, in the notice that nobody has seen yet.
    pub(crate) fn count_limited(&mut self, step: &mut Step<'_>, about: StoredLimit) -> Result<(), EngineError> {
        self.notices.count_limited(step, about).map(drop)
    }

    /// Returns the newest messages from and to a contact, oldest first.
    pub(crate) fn conversation(
        vault: &mut dyn VaultTransaction,
        (name, account): (&Username, Option<AccountId>),
        since: Option<UnixMillis>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, EngineError> {
        history::conversation(vault, (name, account), since, limit)
    }

    /// Returns notices that were not marked as printed, oldest first.
    pub(crate) fn unprinted(
        &self,
        vault: &mut dyn VaultTransaction,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Notice>, EngineError> {
        self.notices.unprinted(vault, from, limit)
    }

    /// Returns how many notices were not marked as printed.
    pub(crate) fn count_unprinted(&self, vault: &mut dyn VaultTransaction) -> Result<u64, EngineError> {
        self.notices.count_unprinted(vault)
    }

    /// Marks every notice up to this position as printed.
    pub(crate) fn mark_printed(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<(), EngineError> {
        self.notices.mark_printed(vault, position)
    }
}

/// Reads bytes as each record of the timeline.
#[cfg(fuzzing)]
pub(crate) fn read_any_record(bytes: &[u8]) {
    use super::codec::parse;
    let _ = parse::<marks::Marks>(bytes, "a record");
    let _ = parse::<HistoryRow>(bytes, "a record");
    let _ = parse::<StoredNotice>(bytes, "a record");
}
