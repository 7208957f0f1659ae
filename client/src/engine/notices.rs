//! What is to be shown once: noted with what it is about, in one transaction, and marked by whoever has shown it.

use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use serde::{Deserialize, Serialize};

use super::codec::Bin;
use super::event::Event;
use super::limits::{StoredLimit, Subject};
use super::model::{GapKind, Notice, NoticeBody, PeerDevice, Undecryptable};
use super::state::{self, Counted, HistoryRow};
use super::{Context, Engine, EngineError};
use crate::vault::{Log, Table};

/// Rows removed at a time.
const PAGE: usize = 256;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredDevice {
    pub(super) label: String,
    pub(super) address: Bin<DeviceAddress>,
}

impl From<StoredDevice> for PeerDevice {
    fn from(stored: StoredDevice) -> Self {
        Self { label: stored.label, account: stored.address.0.account, device: stored.address.0.device }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum StoredReason {
    Expired,
    DeviceRemoved,
    AccountDeleted,
    QueueFull,
    Dormant,
}

impl From<ExpiryReason> for StoredReason {
    fn from(reason: ExpiryReason) -> Self {
        match reason {
            ExpiryReason::Expired => Self::Expired,
            ExpiryReason::DeviceRemoved => Self::DeviceRemoved,
            ExpiryReason::AccountDeleted => Self::AccountDeleted,
        }
    }
}

impl From<MissedReason> for StoredReason {
    fn from(reason: MissedReason) -> Self {
        match reason {
            MissedReason::QueueFull => Self::QueueFull,
            MissedReason::Dormant => Self::Dormant,
            MissedReason::Expired => Self::Expired,
        }
    }
}

/// A notice as stored. `Log::Notice`, beside the time.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum StoredNotice {
    Message { history: u64 },
    Gap { from: StoredDevice, first: u64, last: u64 },
    Altered { from: StoredDevice, counter: u64 },
    GapClosed { from: StoredDevice, counter: u64 },
    Undecryptable { from: StoredDevice, number: u64, reason: String, asked_again: bool },
    NumberReused { from: StoredDevice, number: u64 },
    IdentityChanged { label: String, account: Bin<AccountId> },
    ListForked { label: String, version: u64 },
    SessionRepaired { from: StoredDevice },
    Expired { to: StoredDevice, messages: Vec<Bin<MessageId>>, count: u64, reason: StoredReason },
    Missed { from: StoredDevice, count: u64, reason: StoredReason },
    Limited { about: StoredLimit, count: u64 },
    RolledBack,
    Restored { resent: u64, lost: Vec<u64> },
}

#[derive(Serialize, Deserialize)]
struct Row {
    at: u64,
    body: StoredNotice,
}

impl Engine {
    /// Notes something to be shown.
    pub(super) fn note(&mut self, context: &mut Context<'_>, body: StoredNotice) -> Result<(), EngineError> {
        self.note_at(context, body).map(drop)
    }

    /// [`note`](Self::note); where it lies.
    pub(super) fn note_at(&mut self, context: &mut Context<'_>, body: StoredNotice) -> Result<u64, EngineError> {
        let mut subject = self.subject(&body);
        if let Subject::Name(label) = &subject {
            if !self.counts_names(label) {
                subject = Subject::Stranger;
            } else if self.is_one_too_many(label) {
                return self.count_limited(context, StoredLimit::Notices { label: label.clone() });
            } else {
                context.save(Table::Meta, state::MARKS, &self.marks)?;
            }
        }
        let position = context.push(Log::Notice, &Row { at: context.now.0, body })?;
        self.emit(Event::Shown { position });
        if matches!(subject, Subject::Stranger) {
            self.limit_stranger_notices(context, position)?;
        }
        Ok(position)
    }

    /// Counts one that was dropped, in the notice that nobody has seen yet; where it lies.
    pub(super) fn count_limited(&mut self, context: &mut Context<'_>, about: StoredLimit) -> Result<u64, EngineError> {
        let at = context.now.0;
        let known = self.marks.counted.iter_mut().find(|counted| counted.about == about);
        let position = if let Some(counted) = known {
            counted.count = counted.count.saturating_add(1);
            let body = StoredNotice::Limited { about, count: counted.count };
            context.rewrite(Log::Notice, counted.position, &Row { at, body })?;
            counted.position
        } else {
            let body = StoredNotice::Limited { about: about.clone(), count: 1 };
            let position = context.push(Log::Notice, &Row { at, body })?;
            self.marks.counted.push(Counted { about, position, count: 1 });
            self.emit(Event::Shown { position });
            position
        };
        context.save(Table::Meta, state::MARKS, &self.marks)?;
        Ok(position)
    }

    /// Takes a notice back that nobody has seen; whether that was possible.
    pub(super) fn withdraw(&mut self, context: &mut Context<'_>, position: u64) -> Result<bool, EngineError> {
        if position < self.marks.unprinted_from {
            return Ok(false);
        }
        Ok(context.vault.remove(Log::Notice, position)?)
    }

    /// At most `limit` notices from a position on that were not marked as printed, oldest first.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn notices(&self, context: &mut Context<'_>, from: u64, limit: usize) -> Result<Vec<Notice>, EngineError> {
        let mut from = from.max(self.marks.unprinted_from);
        let mut notices = Vec::new();
        loop {
            // What is about a message that is gone shows nothing, and is no end either.
            let wanted = limit.saturating_sub(notices.len());
            let page = context.vault.read(Log::Notice, from, wanted)?;
            let read = page.len();
            for (position, value) in page {
                from = position.saturating_add(1);
                let Row { at, body } = super::codec::parse(&value, "a notice")?;
                if let Some(body) = shown(context, body)? {
                    notices.push(Notice { position, at: UnixMillis(at), body });
                }
            }
            if read < wanted || wanted == 0 {
                return Ok(notices);
            }
        }
    }

    /// Marks every notice up to this position as printed. Do so after the print was flushed.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn mark_printed(&mut self, context: &mut Context<'_>, position: u64) -> Result<(), EngineError> {
        if position < self.marks.unprinted_from {
            return Ok(());
        }
        self.marks.unprinted_from = position.saturating_add(1);
        self.marks.stranger_notices.retain(|found| *found > position);
        self.marks.counted.retain(|counted| counted.position > position);
        self.marks.told.clear();
        context.save(Table::Meta, state::MARKS, &self.marks)?;
        loop {
            let page = context.vault.read(Log::Notice, 0, PAGE)?;
            let printed: Vec<u64> = page.iter().map(|(found, _)| *found).filter(|found| *found <= position).collect();
            for found in &printed {
                context.vault.remove(Log::Notice, *found)?;
            }
            if printed.len() < PAGE {
                return Ok(());
            }
        }
    }
}

/// What a stored notice shows; `None` if it is about a message that is gone.
fn shown(context: &mut Context<'_>, body: StoredNotice) -> Result<Option<NoticeBody>, EngineError> {
    Ok(Some(match body {
        StoredNotice::Message { history } => {
            let row: Option<HistoryRow> = context.at(Log::History, history, "a message")?;
            let Some(row) = row else { return Ok(None) };
            NoticeBody::Message(super::history::entry(history, row)?)
        }
        StoredNotice::Gap { from, first, last } => {
            NoticeBody::Gap { from: from.into(), kind: GapKind::Missing { first, last } }
        }
        StoredNotice::Altered { from, counter } => {
            NoticeBody::Gap { from: from.into(), kind: GapKind::AlteredHistory { counter } }
        }
        StoredNotice::GapClosed { from, counter } => NoticeBody::GapClosed { from: from.into(), counter },
        StoredNotice::Undecryptable { from, number, reason, asked_again } => NoticeBody::Undecryptable {
            from: from.into(),
            number: MessageNumber(number),
            reason: Undecryptable::parse(&reason).ok_or(EngineError::Record { what: "a notice" })?,
            asked_again,
        },
        StoredNotice::NumberReused { from, number } => {
            NoticeBody::NumberReused { from: from.into(), number: MessageNumber(number) }
        }
        StoredNotice::IdentityChanged { label, account } => NoticeBody::IdentityChanged { label, account: account.0 },
        StoredNotice::ListForked { label, version } => NoticeBody::ListForked { label, version },
        StoredNotice::SessionRepaired { from } => NoticeBody::SessionRepaired { from: from.into() },
        StoredNotice::Expired { to, messages, count, reason } => NoticeBody::Expired {
            to: to.into(),
            messages: messages.into_iter().map(|id| id.0).collect(),
            count,
            reason: match reason {
                StoredReason::DeviceRemoved => ExpiryReason::DeviceRemoved,
                StoredReason::AccountDeleted => ExpiryReason::AccountDeleted,
                StoredReason::Expired | StoredReason::QueueFull | StoredReason::Dormant => ExpiryReason::Expired,
            },
        },
        StoredNotice::Missed { from, count, reason } => NoticeBody::Missed {
            from: from.into(),
            count,
            reason: match reason {
                StoredReason::QueueFull => MissedReason::QueueFull,
                StoredReason::Dormant => MissedReason::Dormant,
                StoredReason::Expired | StoredReason::DeviceRemoved | StoredReason::AccountDeleted => {
                    MissedReason::Expired
                }
            },
        },
        StoredNotice::Limited { about, count } => NoticeBody::Limited { about: about.into(), count },
        StoredNotice::RolledBack => NoticeBody::RolledBack,
        StoredNotice::Restored { resent, lost } => {
            NoticeBody::Restored { resent, lost: lost.into_iter().map(MessageNumber).collect() }
        }
    }))
}
