//! What the welcome tells: that this vault was rolled back, that the server's store was restored, or neither.

use sealpost_api::frames::Welcome;
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::ROLLBACK_JUMP;

use super::codec::Bin;
use super::command::CommandError;
use super::event::{Event, OfflineReason};
use super::notices::StoredNotice;
use super::state::{self, SentRecord};
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// Lost numbers that are named; beyond them only the newest are.
const LOST_MAX: usize = 1_024;
/// Roll-backs whose left-out numbers are remembered; with more in 30 days, what was sent before is not sent again.
const JUMPS_MAX: usize = 16;

impl Engine {
    pub(super) fn on_welcome(&mut self, context: &mut Context<'_>, welcome: &Welcome) -> Result<(), EngineError> {
        let highest = welcome.highest_number.0;
        if highest.checked_add(ROLLBACK_JUMP).and_then(|number| number.checked_add(u64::from(u32::MAX))).is_none() {
            // No device has sent that many: nothing of this welcome can be relied on.
            self.go_offline(OfflineReason::Refused { code: sealpost_api::close::PROTOCOL });
            return self.fail_commands(context, &CommandError::BadAnswer);
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
        if highest > self.sender.number || self.sender.rolled_back {
            self.recover_from_rollback(context, highest)?;
        } else if restored || highest < self.sender.highest_sent {
            self.recover_from_restore(context, highest)?;
        }
        context.save(Table::Meta, state::SENDER, &self.sender)?;
        self.go_ready(welcome.pending);
        Ok(())
    }

    /// This vault is older than what the server has seen of this device. Its numbers go on above all that may have been
    /// used.
    fn recover_from_rollback(&mut self, context: &mut Context<'_>, highest: u64) -> Result<(), EngineError> {
        if !self.sender.rolled_back {
            self.retire_ratchets(context)?;
            self.note(context, StoredNotice::RolledBack)?;
        }
        self.emit(Event::RolledBack);
        let first_unused = self.sender.number.saturating_add(1);
        self.sender.number = highest.max(self.sender.number).saturating_add(ROLLBACK_JUMP);
        self.sender.highest_sent = highest;
        self.sender.oldest_sealed = self.sender.number;
        if self.sender.jumps.len() >= JUMPS_MAX {
            super::profile::clear(context, Table::Sent)?;
            self.sender.jumps.clear();
            self.sender.oldest_record = self.sender.number;
        } else {
            self.sender.jumps.insert(first_unused, self.sender.number.saturating_add(1));
        }
        self.sender.rolled_back = false;
        Ok(())
    }

    /// Tells that the vault was found to be rolled back when it was opened: its ratchets are not used for sending again.
    /// Do this in a transaction of its own before anything else, and only then settle it with the vault. May be repeated.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn vault_rolled_back(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if !self.sender.rolled_back {
            self.note(context, StoredNotice::RolledBack)?;
        }
        if self.me.is_some() {
            self.retire_ratchets(context)?;
            self.sender.rolled_back = true;
            context.save(Table::Meta, state::SENDER, &self.sender)?;
        }
        // Nobody listens yet; what there is to show was noted.
        self.effects.clear();
        Ok(())
    }

    /// The ratchets have gone on elsewhere, so none of them may send again; the one-time prekeys may have been used, so
    /// none of them may be used again.
    fn retire_ratchets(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.sender.stream = u64::from_le_bytes(context.draw());
        self.sender.resend.clear();
        super::profile::clear(context, Table::Sealed)?;
        for address in super::sealing::session_addresses(context)? {
            if let Some(pair) = self.pair(context, address)? {
                pair.make_receive_only();
            }
            self.save_pair(context, address)?;
        }
        self.fresh_sessions.clear();
        self.renew_keys(context, true)?;
        super::profile::clear(context, Table::Prekey)?;
        self.forget_sendings(context)
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
