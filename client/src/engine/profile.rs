//! Who this profile is: a device taken on, and everything of it put away again.

use super::command::CommandError;
use super::event::{Event, OfflineReason};
use super::model::AccountInfo;
use super::state::{self, Me, Sender, StoredMe};
use super::{Context, Engine, EngineError};
use crate::vault::{Log, Table};

impl Engine {
    /// Takes on a new registration: its counters start anew, and nothing of an earlier one may be used any more.
    pub(super) fn become_device(
        &mut self,
        context: &mut Context<'_>,
        stored: StoredMe,
        keys: state::Keys,
        pairs: &state::StoredPairs,
    ) -> Result<(), EngineError> {
        self.close_link();
        for table in [Table::Session, Table::Prekey, Table::Sealed, Table::Sent] {
            clear(context, table)?;
        }
        self.sessions.clear();
        // Others count from 1 again for this registration.
        clear(context, Table::Peer)?;
        self.peers.clear();
        context.save(Table::Identity, state::ME, &stored)?;
        context.erase(Table::Identity, state::OFFERED)?;
        self.offered = None;
        self.me = Some(Me::from_stored(stored).ok_or(EngineError::Internal)?);
        self.sender = Sender { stream: u64::from_le_bytes(context.draw()), ..Sender::default() };
        context.save(Table::Meta, state::SENDER, &self.sender)?;
        context.erase(Table::Request, state::PREKEY_REQUEST)?;
        context.erase(Table::Request, state::LIST_REQUEST)?;
        self.upload = None;
        self.publishing = None;
        self.keys = keys;
        super::prekeys::store_pairs(context, pairs)?;
        context.save(Table::Meta, state::KEYS, &self.keys)?;
        self.forget_sendings(context)
    }

    /// Forgets the account after it was deleted: its keys and sessions. The history and the contacts stay.
    pub(super) fn forget_account(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.end_login(context)?;
        for table in [Table::Identity, Table::Session, Table::Prekey, Table::Sealed, Table::Sent, Table::Request] {
            clear(context, table)?;
        }
        for key in [state::SENDER, state::KEYS] {
            context.erase(Table::Meta, key)?;
        }
        let items: Vec<u64> = self.items.keys().copied().collect();
        for item in items {
            context.vault.remove(Log::Outbox, item)?;
        }
        self.items.clear();
        self.lanes.clear();
        self.in_flight.clear();
        self.sessions.clear();
        self.sender = Sender::default();
        self.keys = state::Keys::default();
        self.upload = None;
        self.publishing = None;
        self.password_change = None;
        self.password = None;
        self.me = None;
        Ok(())
    }

    /// Forgets the session, as asked.
    pub(super) fn end_login(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        context.erase(Table::Meta, state::LOGIN)?;
        self.login = None;
        self.password = None;
        self.go_offline(OfflineReason::NotLoggedIn);
        Ok(())
    }

    /// Tells that only a person can go on.
    pub(super) fn tell_needs_login(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if !self.told_needs_login {
            self.told_needs_login = true;
            self.emit(Event::NeedsLogin);
        }
        self.close_link();
        self.fail_commands(context, &CommandError::NotLoggedIn)
    }

    /// Who this profile is; `None` before it is registered or logged in.
    #[must_use]
    pub fn whoami(&self) -> Option<AccountInfo> {
        self.account_info()
    }

    pub(super) fn account_info(&self) -> Option<AccountInfo> {
        let me = self.me.as_ref()?;
        Some(AccountInfo {
            username: me.username.clone(),
            account: me.address.account,
            account_identity: me.list.account_identity(),
            device: me.address.device,
            registration: me.address.registration,
            primary: me.account_identity.is_some(),
            logged_in: self.login.is_some(),
        })
    }
}

/// Removes all of a table.
pub(super) fn clear(context: &mut Context<'_>, table: Table) -> Result<(), EngineError> {
    for (key, _) in context.vault.entries(table)? {
        context.vault.delete(table, &key)?;
    }
    Ok(())
}
