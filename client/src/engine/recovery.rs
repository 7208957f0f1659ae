//! What the welcome tells: that this vault was rolled back, that the server's store was restored, or neither.

use sealpost_api::frames::Welcome;
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::ROLLBACK_JUMP;

use super::codec::Bin;
use super::event::{Event, OfflineReason};
use super::notices::StoredNotice;
use super::state::{self, SentRecord};
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// Lost numbers that are named; beyond them only the newest are.
const LOST_MAX: usize = 1_024;

impl Engine {
    pub(super) fn on_welcome(&mut self, context: &mut Context<'_>, welcome: &Welcome) -> Result<(), EngineError> {
        let highest = welcome.highest_number.0;
        if highest.checked_add(ROLLBACK_JUMP).and_then(|number| number.checked_add(u64::from(u32::MAX))).is_none() {
            // No device has sent that many: nothing of this welcome can be relied on.
            self.go_offline(OfflineReason::Refused { code: sealpost_api::close::PROTOCOL });
            return Ok(());
        }
        let KeyEpoch(epoch) = welcome.key_epoch;
        if self.keys.epoch.is_some_and(|known| known != epoch) {
            self.renew_keys(context, false)?;
        }
        if self.keys.epoch != Some(epoch) {
            self.keys.epoch = Some(epoch);
            context.save(Table::Meta, state::KEYS, &self.keys)?;
        }
        let restored = self.sender.store.is_some_and(|Bin(store)| store != welcome.store);
        self.sender.store = Some(Bin(welcome.store));
        if highest > self.sender.number {
            self.recover_from_rollback(context, highest)?;
        } else if restored || highest < self.sender.highest_sent {
            self.recover_from_restore(context, highest)?;
        }
        context.save(Table::Meta, state::SENDER, &self.sender)?;
        self.go_ready(welcome.pending);
        Ok(())
    }

    /// This vault is older than what the server has seen of this device. Its ratchets have gone on elsewhere, so none of
    /// them may send again; its one-time prekeys may have been used, so none of them may be used again.
    fn recover_from_rollback(&mut self, context: &mut Context<'_>, highest: u64) -> Result<(), EngineError> {
        self.sender.number = highest.saturating_add(ROLLBACK_JUMP);
        self.sender.highest_sent = highest;
        self.sender.stream = u64::from_le_bytes(context.draw());
        self.sender.oldest_sealed = self.sender.number;
        self.sender.oldest_record = self.sender.number;
        self.sender.resend.clear();
        super::profile::clear(context, Table::Sealed)?;
        for address in super::sealing::session_addresses(context)? {
            if let Some(pair) = self.pair(context, address)? {
                pair.make_receive_only();
            }
            self.save_pair(context, address)?;
        }
        self.renew_keys(context, true)?;
        super::profile::clear(context, Table::Prekey)?;
        self.forget_sendings(context)?;
        self.note(context, StoredNotice::RolledBack)?;
        self.emit(Event::RolledBack);
        Ok(())
    }

    /// The server's store is older than what this device has seen of it. What it accepted and lost is sent again, the same
    /// bytes under the same numbers; the own lists that it lacks are published again.
    fn recover_from_restore(&mut self, context: &mut Context<'_>, highest: u64) -> Result<(), EngineError> {
        let mut resent = 0_u64;
        let mut lost = Vec::new();
        let first_kept = highest.saturating_add(1).max(self.sender.oldest_sealed);
        for number in first_kept..=self.sender.number {
            let key = number.to_be_bytes();
            let record: Option<SentRecord> = context.load(Table::Sent, &key, "a sent message")?;
            if !record.is_some_and(|record| record.accepted) {
                continue;
            }
            if context.vault.get(Table::Sealed, &key)?.is_some() {
                self.sender.resend.insert(number);
                self.in_flight.insert(number, None);
                resent = resent.saturating_add(1);
            } else {
                lost.push(number);
            }
        }
        // Below the window only the fact is known.
        let first_lost = highest.saturating_add(1).max(self.sender.oldest_record);
        for number in (first_lost..first_kept).rev().take(LOST_MAX) {
            let record: Option<SentRecord> = context.load(Table::Sent, &number.to_be_bytes(), "a sent message")?;
            if record.is_some_and(|record| record.accepted) {
                lost.push(number);
            }
        }
        self.sender.highest_sent = highest.min(self.sender.highest_sent);
        self.sender.lost.extend(&lost);
        let excess = self.sender.lost.len().saturating_sub(LOST_MAX);
        self.sender.lost.drain(..excess);
        self.wanted_lists.extend(self.me.as_ref().map(|me| me.address.account));
        self.note(context, StoredNotice::Restored { resent, lost })?;
        self.emit(Event::Restored);
        Ok(())
    }
}
