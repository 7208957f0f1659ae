//! The history: what was written and what was received, as it was shown.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceId, UnixMillis};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::codec::{Bin, bin, parse, write};
use crate::engine::error::EngineError;
use crate::engine::model::{Direction, HistoryEntry, MessageFlag};
use crate::engine::store::Entry;
use crate::vault::{Log, VaultTransaction};

/// Rows read at a time.
const PAGE: usize = 256;
/// Own rows kept in memory until the server answers: most answers come within as many messages.
const CACHED_MAX: usize = 64;

/// A message of the history.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryRow {
    pub(crate) sent: bool,
    pub(crate) peer: String,
    pub(crate) account: Option<Bin<AccountId>>,
    pub(crate) device: u8,
    #[serde(with = "bin")]
    pub(crate) message_id: MessageId,
    pub(crate) sent_at: u64,
    pub(crate) accepted_at: Option<u64>,
    pub(crate) number: Option<u64>,
    pub(crate) text: Zeroizing<String>,
    pub(crate) flags: Vec<String>,
}

impl Entry for HistoryRow {
    const LOG: Log = Log::History;
    const WHAT: &'static str = "a message";
}

impl HistoryRow {
    /// Returns the row as a query answers it.
    pub(crate) fn entry(self, position: u64) -> Result<HistoryEntry, EngineError> {
        let damaged = || EngineError::Record { what: Self::WHAT };
        let flags = self.flags.iter().map(|flag| MessageFlag::parse(flag).ok_or_else(damaged));
        Ok(HistoryEntry {
            position,
            direction: if self.sent { Direction::Sent } else { Direction::Received },
            peer: self.peer,
            peer_account: self.account.map(|account| account.0),
            device: DeviceId::new(self.device).map_err(|_| damaged())?,
            message_id: self.message_id,
            sent_at: UnixMillis(self.sent_at),
            accepted_at: self.accepted_at.map(UnixMillis),
            number: self.number.map(MessageNumber),
            text: self.text.to_string(),
            flags: flags.collect::<Result<_, _>>()?,
        })
    }
}

/// A text that was written here.
pub(crate) struct NewText {
    pub(crate) to: Username,
    pub(crate) account: Option<AccountId>,
    pub(crate) device: DeviceId,
    pub(crate) message_id: MessageId,
    pub(crate) sent_at: UnixMillis,
    pub(crate) text: String,
}

/// The history, with the own messages of the last moments in memory.
#[derive(Default)]
pub(crate) struct History {
    cached: BTreeMap<u64, HistoryRow>,
    changed: BTreeSet<u64>,
}

impl History {
    /// Adds a row and returns its position.
    pub(super) fn append(vault: &mut dyn VaultTransaction, row: &HistoryRow) -> Result<u64, EngineError> {
        Ok(vault.append(Log::History, &write(row)?)?)
    }

    /// Adds a text that was written here, and returns its position.
    pub(crate) fn append_text(&mut self, vault: &mut dyn VaultTransaction, new: NewText) -> Result<u64, EngineError> {
        let row = HistoryRow {
            sent: true,
            peer: new.to.as_str().to_owned(),
            account: new.account.map(Bin),
            device: new.device.get(),
            message_id: new.message_id,
            sent_at: new.sent_at.0,
            accepted_at: None,
            number: None,
            text: Zeroizing::new(new.text),
            flags: Vec::new(),
        };
        let position = Self::append(vault, &row)?;
        self.cached.insert(position, row);
        Ok(position)
    }

    /// Returns the text at a position, if it is there still.
    pub(crate) fn text(
        &mut self,
        vault: &mut dyn VaultTransaction,
        position: u64,
    ) -> Result<Option<Zeroizing<String>>, EngineError> {
        match self.cached.get(&position) {
            Some(row) => Ok(Some(row.text.clone())),
            None => Ok(row_at(vault, position)?.map(|row| row.text)),
        }
    }

    /// Notes that the server has accepted a message.
    pub(crate) fn accept(
        &mut self,
        vault: &mut dyn VaultTransaction,
        position: u64,
        (account, number, at): (Option<AccountId>, u64, UnixMillis),
    ) -> Result<(), EngineError> {
        if !self.cached.contains_key(&position)
            && let Some(row) = row_at(vault, position)?
        {
            self.cached.insert(position, row);
        }
        if let Some(row) = self.cached.get_mut(&position) {
            row.accepted_at = Some(at.0);
            row.number = Some(number);
            row.account = account.map(Bin);
            self.changed.insert(position);
        }
        Ok(())
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, vault: &mut dyn VaultTransaction, position: u64) -> Result<(), EngineError> {
        self.cached.remove(&position);
        self.changed.remove(&position);
        vault.remove(Log::History, position)?;
        Ok(())
    }

    /// Writes what has changed. An accepted message does not change any more, and leaves the memory.
    pub(super) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        for position in std::mem::take(&mut self.changed) {
            if let Some(row) = self.cached.remove(&position) {
                vault.replace(Log::History, position, &write(&row)?)?;
            }
        }
        if self.cached.len() > CACHED_MAX {
            self.cached.clear();
        }
        Ok(())
    }
}

/// Returns the row at a position, if it is there still.
pub(super) fn row_at(vault: &mut dyn VaultTransaction, position: u64) -> Result<Option<HistoryRow>, EngineError> {
    match vault.read(Log::History, position, 1)?.into_iter().next() {
        Some((found, value)) if found == position => parse(&value, HistoryRow::WHAT).map(Some),
        _ => Ok(None),
    }
}

/// Returns the newest `limit` messages from and to a contact that were written at or after `since`, oldest first.
pub(super) fn conversation(
    vault: &mut dyn VaultTransaction,
    (name, account): (&Username, Option<AccountId>),
    since: Option<UnixMillis>,
    limit: usize,
) -> Result<Vec<HistoryEntry>, EngineError> {
    let mut found = Vec::new();
    let mut before = u64::MAX;
    loop {
        let page = vault.read_back(Log::History, before, PAGE)?;
        let last_page = page.len() < PAGE;
        for (position, value) in page {
            before = position;
            let row: HistoryRow = parse(&value, HistoryRow::WHAT)?;
            let with_contact = row.peer == name.as_str()
                || (row.account.is_some() && row.account.as_ref().map(|account| account.0) == account);
            if with_contact && since.is_none_or(|since| row.sent_at >= since.0) && found.len() < limit {
                found.push(row.entry(position)?);
            }
        }
        if last_page || found.len() >= limit {
            found.reverse();
            return Ok(found);
        }
    }
}
