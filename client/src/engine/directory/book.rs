//! The directory's state: the contacts, and the names that lead to them.

use std::collections::{BTreeMap, BTreeSet};

use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, SafetyNumber};

use crate::engine::codec::Bin;
use crate::engine::error::EngineError;
use crate::engine::model::ContactInfo;
use crate::engine::records::{Contact, Me};
use crate::engine::store::Rows;
use crate::vault::VaultTransaction;

/// The directory's state.
pub(crate) struct Directory {
    pub(super) contacts: Rows<Contact>,
    pub(super) names: BTreeMap<Username, AccountId>,
    /// Accounts whose device lists are to be fetched.
    pub(super) wanted_lists: BTreeSet<AccountId>,
}

impl Directory {
    /// Reads the contacts.
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        let contacts = Rows::<Contact>::open(vault)?;
        let named = contacts.iter().filter_map(|(account, contact)| Some((contact.name.as_ref()?.0.clone(), *account)));
        let names = named.collect();
        Ok(Self { contacts, names, wanted_lists: BTreeSet::new() })
    }

    /// Writes what has changed.
    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.contacts.flush(vault)
    }

    /// Returns the contacts.
    pub(crate) const fn contacts(&self) -> &Rows<Contact> {
        &self.contacts
    }

    /// Returns a contact.
    pub(crate) fn get(&self, account: AccountId) -> Option<&Contact> {
        self.contacts.get(&account)
    }

    /// Returns the account that a name leads to.
    pub(crate) fn account_of(&self, name: &Username) -> Option<AccountId> {
        self.names.get(name).copied()
    }

    /// Returns whether an account's identity has changed and waits to be accepted.
    pub(crate) fn is_blocked(&self, account: AccountId) -> bool {
        self.get(account).is_some_and(|contact| !contact.is_accepted())
    }

    /// Marks an account as a contact, because the user has chosen it.
    pub(crate) fn befriend(&mut self, account: AccountId) {
        if self.get(account).is_some_and(|contact| contact.stranger.is_some())
            && let Some(contact) = self.contacts.edit(&account)
        {
            contact.stranger = None;
        }
    }

    /// Returns a contact by name.
    pub(crate) fn info(&self, name: &Username) -> Option<ContactInfo> {
        self.info_of(self.account_of(name)?)
    }

    /// Returns all contacts: the named ones by name, then the others by account id.
    pub(crate) fn all(&self) -> Vec<ContactInfo> {
        let unnamed = self.contacts.iter().filter(|(_, contact)| contact.name.is_none()).map(|(account, _)| account);
        self.names.values().chain(unnamed).filter_map(|account| self.info_of(*account)).collect()
    }

    fn info_of(&self, account: AccountId) -> Option<ContactInfo> {
        let contact = self.get(account)?;
        Some(ContactInfo {
            name: contact.name.as_ref().map(|Bin(name)| name.clone()),
            label: contact.label(),
            account,
            account_identity: contact.list.account_identity(),
            verified: contact.verified,
            identity_changed: !contact.is_accepted(),
            list_version: contact.list.version(),
            devices: contact.list.devices().iter().map(|entry| entry.device).collect(),
        })
    }

    /// Returns the number to compare with a contact. If an identity waits to be accepted it is of that one, because that
    /// is what a person has to look at first.
    pub(crate) fn safety_number(&self, me: &Me, name: &Username) -> Option<SafetyNumber> {
        let contact = self.get(self.account_of(name)?)?;
        let list = contact.pending.as_ref().map_or(&contact.list, |pending| &pending.0);
        Some(SafetyNumber::new(
            (me.address.account, me.list.account_identity()),
            (list.account(), list.account_identity()),
        ))
    }
}
