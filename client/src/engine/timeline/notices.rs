//! Notices: what is to be shown once. Each is noted in the transaction of what it is about, and marked by the program that
//! has shown it.

use sealpost_crypto::UnixMillis;
use serde::{Deserialize, Serialize};

use super::limits::{Subject, subject};
use super::marks::{Counted, Marks};
use super::shown::shown;
use super::stored::{StoredLimit, StoredNotice};
use crate::engine::codec::{parse, write};
use crate::engine::error::EngineError;
use crate::engine::event::Event;
use crate::engine::model::Notice;
use crate::engine::people::People;
use crate::engine::step::Step;
use crate::engine::store::Kept;
use crate::vault::{Log, VaultTransaction};

/// Rows read or removed at a time.
const PAGE: usize = 256;
/// Notices about strangers that nobody has seen: several screens full. Messages are not among them.
const STRANGER_NOTICES_MAX: usize = 256;

#[derive(Serialize, Deserialize)]
struct Row {
    at: u64,
    body: StoredNotice,
}

/// The notices, and the marks in them.
pub(super) struct Notices {
    marks: Kept<Marks>,
}

impl Notices {
    pub(super) const fn new(marks: Kept<Marks>) -> Self {
        Self { marks }
    }

    pub(super) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.marks.flush(vault)
    }

    /// Notes something to be shown, and returns where it lies.
    pub(super) fn note(
        &mut self,
        step: &mut Step<'_>,
        people: People<'_>,
        body: StoredNotice,
    ) -> Result<u64, EngineError> {
        let mut subject = subject(people, &body);
        if let Subject::Name(label) = &subject {
            if !self.marks.counts_names(label) {
                subject = Subject::Stranger;
            } else if self.marks.edit().is_one_too_many(label) {
                return self.count_limited(step, StoredLimit::Notices { label: label.clone() });
            }
        }
        let position = append(step, body)?;
        if matches!(subject, Subject::Stranger) {
            self.limit_stranger_notices(step, position)?;
        }
        Ok(position)
    }

    /// Counts one that was dropped, in the notice that nobody has seen yet. Returns where that lies.
    pub(super) fn count_limited(&mut self, step: &mut Step<'_>, about: StoredLimit) -> Result<u64, EngineError> {
        if let Some(counted) = self.marks.edit().counted.iter_mut().find(|counted| counted.about == about) {
            counted.count = counted.count.saturating_add(1);
            let body = StoredNotice::Limited { about, count: counted.count };
            step.vault.replace(Log::Notice, counted.position, &write(&Row { at: step.now.0, body })?)?;
            return Ok(counted.position);
        }
        let position = append(step, StoredNotice::Limited { about: about.clone(), count: 1 })?;
        self.marks.edit().counted.push(Counted { about, position, count: 1 });
        Ok(position)
    }

    /// Remembers where a notice about a stranger lies, and takes back the oldest beyond the limit.
    fn limit_stranger_notices(&mut self, step: &mut Step<'_>, position: u64) -> Result<(), EngineError> {
        self.marks.edit().stranger_notices.push_back(position);
        while self.marks.stranger_notices.len() > STRANGER_NOTICES_MAX {
            let Some(oldest) = self.marks.edit().stranger_notices.pop_front() else { break };
            if step.vault.remove(Log::Notice, oldest)? {
                self.count_limited(step, StoredLimit::StrangerNotices)?;
            }
        }
        Ok(())
    }

    /// Takes back a notice that nobody has seen. Returns whether that was possible.
    pub(super) fn withdraw(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<bool, EngineError> {
        Ok(position >= self.marks.unprinted_from && vault.remove(Log::Notice, position)?)
    }

    /// Returns at most `limit` notices from a position on that were not marked as printed, oldest first.
    pub(super) fn unprinted(
        &self,
        vault: &mut dyn VaultTransaction,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Notice>, EngineError> {
        let mut from = from.max(self.marks.unprinted_from);
        let mut notices = Vec::new();
        loop {
            // A notice about a message that is gone shows nothing, and is not the end either.
            let wanted = limit.saturating_sub(notices.len());
            let page = vault.read(Log::Notice, from, wanted)?;
            let read = page.len();
            for (position, value) in page {
                from = position.saturating_add(1);
                let Row { at, body } = parse(&value, "a notice")?;
                if let Some(body) = shown(vault, body)? {
                    notices.push(Notice { position, at: UnixMillis(at), body });
                }
            }
            if read < wanted || wanted == 0 {
                return Ok(notices);
            }
        }
    }

    /// Returns how many notices were not marked as printed.
    pub(super) fn count_unprinted(&self, vault: &mut dyn VaultTransaction) -> Result<u64, EngineError> {
        let mut count = 0_u64;
        let mut from = self.marks.unprinted_from;
        loop {
            let page = vault.read(Log::Notice, from, PAGE)?;
            count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = last.saturating_add(1),
                _ => return Ok(count),
            }
        }
    }

    /// Marks every notice up to this position as printed, and removes it.
    pub(super) fn mark_printed(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<(), EngineError> {
        if position < self.marks.unprinted_from {
            return Ok(());
        }
        self.marks.edit().printed(position);
        loop {
            let page = vault.read(Log::Notice, 0, PAGE)?;
            let printed: Vec<u64> = page.iter().map(|(found, _)| *found).filter(|found| *found <= position).collect();
            for found in &printed {
                vault.remove(Log::Notice, *found)?;
            }
            if printed.len() < PAGE {
                return Ok(());
            }
        }
    }
}

/// Adds a notice, tells that it is there, and returns where it lies.
fn append(step: &mut Step<'_>, body: StoredNotice) -> Result<u64, EngineError> {
    let position = step.vault.append(Log::Notice, &write(&Row { at: step.now.0, body })?)?;
    step.emit(Event::Shown { position });
    Ok(position)
}
