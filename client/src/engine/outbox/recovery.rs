//! What the numbers in a welcome tell: that this vault was rolled back, that the server's store was restored, or neither.

use sealpost_api::ids::StoreId;
use sealpost_api::limits::ROLLBACK_JUMP;

use super::queue::Outbox;
use super::sender::Sender;
use super::sent::SentRecord;
use crate::engine::codec::Bin;
use crate::engine::error::EngineError;
use crate::engine::step::Step;
use crate::engine::store::clear;
use crate::vault::{Table, VaultTransaction};

/// Lost numbers that are named; beyond them only the newest are.
const LOST_MAX: usize = 1_024;
/// Roll-backs whose left-out numbers are remembered; with more in 30 days, what was sent before is not sent again.
const JUMPS_MAX: usize = 16;

/// What a welcome tells of this vault and the server's store.
pub(crate) enum Recovered {
    /// Both go on from where they were.
    Neither,
    /// This vault is older than what the server has seen of this device.
    RolledBack {
        /// Whether the ratchets and prekeys are still to be retired.
        news: bool,
    },
    /// The server's store is older than what this device has seen of it.
    Restored,
}

impl Outbox {
    /// Compares the numbers of a welcome with what is known here.
    pub(crate) fn compare(&mut self, store: StoreId, highest: u64) -> Recovered {
        let restored = self.sender.store.as_ref().is_some_and(|known| known.0 != store);
        self.sender.edit().store = Some(Bin(store));
        if highest > self.sender.number || self.sender.rolled_back {
            Recovered::RolledBack { news: !self.sender.rolled_back }
        } else if restored || highest < self.sender.highest_sent {
            Recovered::Restored
        } else {
            Recovered::Neither
        }
    }

    /// Jumps over the numbers that may have been used, because the vault is older than the state that the server has
    /// seen of this device.
    pub(crate) fn jump(&mut self, vault: &mut dyn VaultTransaction, highest: u64) -> Result<(), EngineError> {
        let sender = self.sender.edit();
        let first_unused = sender.number.saturating_add(1);
        sender.number = highest.max(sender.number).saturating_add(ROLLBACK_JUMP);
        sender.highest_sent = highest;
        sender.oldest_sealed = sender.number;
        if sender.jumps.len() >= JUMPS_MAX {
            self.sent.clear(vault)?;
            sender.jumps.clear();
            sender.oldest_record = sender.number;
        } else {
            sender.jumps.insert(first_unused, sender.number.saturating_add(1));
        }
        sender.rolled_back = false;
        Ok(())
    }

    /// Returns whether this vault is known to be rolled back, and the server has not said yet how far.
    pub(crate) fn is_rolled_back(&self) -> bool {
        self.sender.rolled_back
    }

    /// Remembers that this vault is rolled back until the server says how far.
    pub(crate) fn mark_rolled_back(&mut self) {
        self.sender.edit().rolled_back = true;
    }

    /// Starts a new sequence after a rollback. Everything is encrypted again in new sessions, and recognised by its
    /// message id if it was accepted before.
    pub(crate) fn begin_sequence(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        let sender = self.sender.edit();
        sender.sequence = step.draw_u64();
        sender.resend.clear();
        clear(step.vault, Table::Sealed)?;
        self.forget_sendings(step.vault)
    }

    /// Starts the numbers again, because the profile is a new device.
    pub(crate) fn begin_anew(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        clear(step.vault, Table::Sealed)?;
        self.sent.clear(step.vault)?;
        self.sender.set(Sender { sequence: step.draw_u64(), ..Sender::default() });
        self.forget_sendings(step.vault)
    }

    fn forget_sendings(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.flight.clear();
        for position in self.items.iter().map(|(position, _)| position).collect::<Vec<_>>() {
            let Some(item) = self.items.edit(position) else { continue };
            if item.is_empty() {
                self.remove(vault, position)?;
                continue;
            }
            item.unknown |= item.number.is_some();
            item.number = None;
            item.attempts = 0;
            item.wait_until = sealpost_crypto::UnixMillis(0);
            if item.recipient.device().is_none() {
                item.assigned.clear();
            }
        }
        Ok(())
    }

    /// Sends again what the server accepted and lost, because its store is older than the state that this device has
    /// seen of it: the same bytes under the same numbers. Returns the number of messages, and the numbers that are no
    /// longer kept here.
    pub(crate) fn resend_lost(
        &mut self,
        vault: &mut dyn VaultTransaction,
        highest: u64,
    ) -> Result<(u64, Vec<u64>), EngineError> {
        let mut resent = 0_u64;
        let mut lost = Vec::new();
        let first_kept = highest.saturating_add(1).max(self.sender.oldest_sealed);
        for number in first_kept..=self.sender.number {
            if !self.was_accepted(vault, number)? {
                continue;
            }
            if vault.get(Table::Sealed, &number.to_be_bytes())?.is_some() {
                self.sender.edit().resend.insert(number);
                self.flight.add(number, None);
                resent = resent.saturating_add(1);
            } else {
                lost.push(number);
            }
        }
        // Below the window only the fact is known.
        let first_lost = highest.saturating_add(1).max(self.sender.oldest_record);
        for number in (first_lost..first_kept).rev().take(LOST_MAX) {
            if self.was_accepted(vault, number)? {
                lost.push(number);
            }
        }
        let sender = self.sender.edit();
        sender.highest_sent = highest.min(sender.highest_sent);
        sender.lost.extend(&lost);
        let excess = sender.lost.len().saturating_sub(LOST_MAX);
        sender.lost.drain(..excess);
        Ok((resent, lost))
    }

    fn was_accepted(&mut self, vault: &mut dyn VaultTransaction, number: u64) -> Result<bool, EngineError> {
        Ok(self.sent.get(vault, &number)?.is_some_and(|record: &SentRecord| record.accepted))
    }

    /// Handles a lost connection. It is unknown which of its last frames arrived.
    pub(crate) fn connection_lost(&mut self) {
        self.flight.connection_lost();
        for item in self.items.unsaved() {
            item.unknown |= item.number.is_some();
        }
    }

    /// Forgets everything, with the account.
    pub(crate) fn clear(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        for position in self.items.iter().map(|(position, _)| position).collect::<Vec<_>>() {
            self.remove(vault, position)?;
        }
        self.lanes.clear();
        self.flight.clear();
        self.sent.clear(vault)?;
        clear(vault, Table::Sealed)?;
        self.sender.forget();
        Ok(())
    }
}
