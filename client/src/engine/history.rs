//! The history: what was written and what was received, as it was shown. And the profile at a glance.

use sealpost_api::ids::MessageNumber;
use sealpost_api::username::Username;
use sealpost_crypto::{DeviceId, UnixMillis};

use super::codec::parse;
use super::model::{Direction, HistoryEntry, MessageFlag, OutboxEntry, Status};
use super::state::{HistoryRow, ItemBody};
use super::{Context, Engine, EngineError, Link};
use crate::vault::Log;

/// Rows read at a time.
const PAGE: usize = 256;

/// A row as a query answers it.
pub(super) fn entry(position: u64, row: HistoryRow) -> Result<HistoryEntry, EngineError> {
    let damaged = || EngineError::Record { what: "a message" };
    Ok(HistoryEntry {
        position,
        direction: if row.sent { Direction::Sent } else { Direction::Received },
        peer: row.peer,
        peer_account: row.account.map(|account| account.0),
        device: DeviceId::new(row.device).map_err(|_| damaged())?,
        message_id: row.message_id,
        sent_at: UnixMillis(row.sent_at),
        accepted_at: row.accepted_at.map(UnixMillis),
        number: row.number.map(MessageNumber),
        text: row.text.to_string(),
        flags: row.flags.iter().map(|flag| MessageFlag::parse(flag).ok_or_else(damaged)).collect::<Result<_, _>>()?,
    })
}

impl Engine {
    /// The newest `limit` messages from and to a contact that were written at or after `since`, oldest first.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn history(
        &self,
        context: &mut Context<'_>,
        name: &Username,
        since: Option<UnixMillis>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, EngineError> {
        let account = self.names.get(name).copied();
        let mut found = Vec::new();
        let mut before = u64::MAX;
        loop {
            let page = context.vault.read_back(Log::History, before, PAGE)?;
            let last_page = page.len() < PAGE;
            for (position, value) in page {
                before = position;
                let row: HistoryRow = parse(&value, "a message")?;
                let with_contact = row.peer == name.as_str()
                    || (row.account.is_some() && row.account.as_ref().map(|account| account.0) == account);
                if with_contact && since.is_none_or(|since| row.sent_at >= since.0) && found.len() < limit {
                    found.push(entry(position, row)?);
                }
            }
            if last_page || found.len() >= limit {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// What waits to be accepted by the server, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<OutboxEntry> {
        self.items
            .values()
            .filter(|item| matches!(item.body, ItemBody::Text { .. }))
            .filter_map(|item| {
                Some(OutboxEntry {
                    to: item.name.as_ref()?.0.clone(),
                    message_id: item.message_id,
                    sent_at: UnixMillis(item.sent_at),
                    number: item.number.map(MessageNumber),
                })
            })
            .collect()
    }

    /// Whether something is to be sent that needs no more than a connection: messages, requests to send again and their
    /// answers, but nothing that waits for a person to accept an identity. A program that is about to disconnect waits for
    /// this to end, so that a repair does not need another connection for each of its steps.
    #[must_use]
    pub fn has_work_to_send(&self) -> bool {
        let blocked = |account| self.contacts.get(&account).is_some_and(|contact| contact.pending.is_some());
        self.items.values().any(|item| {
            !matches!(item.body, ItemBody::Empty) && !item.account.as_ref().is_some_and(|account| blocked(account.0))
        })
    }

    /// Whether it is online, or tries to be.
    #[must_use]
    pub const fn is_wanted_online(&self) -> bool {
        self.online_wanted
    }

    /// The profile at a glance.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn status(&self, context: &mut Context<'_>) -> Result<Status, EngineError> {
        let mut unprinted = 0_u64;
        let mut from = self.marks.unprinted_from;
        loop {
            let page = context.vault.read(Log::Notice, from, PAGE)?;
            unprinted = unprinted.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = last.saturating_add(1),
                _ => break,
            }
        }
        Ok(Status {
            logged_in: self.login.is_some(),
            online: self.link == Link::Ready,
            outbox: u64::try_from(self.outbox().len()).unwrap_or(u64::MAX),
            held: self.held.values().map(|held| u64::try_from(held.len()).unwrap_or(u64::MAX)).sum(),
            unprinted,
            number: self.sender.number,
            recovering: self.keys.discard || self.keys.renew,
            lost_numbers: self.sender.lost.iter().copied().map(MessageNumber).collect(),
        })
    }
}
