//! Identities that changed: kept aside, shown, and accepted by a person.

use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceList};

use super::book::Directory;
use crate::engine::codec::Bin;
use crate::engine::command::{InvalidCommand, Outcome};
use crate::engine::error::EngineError;
use crate::engine::fact::{Fact, Notable};
use crate::engine::records::Contact;
use crate::engine::step::Step;
use crate::engine::waiting::Begun;

impl Directory {
    /// Keeps a list under another identity aside for a contact, and tells once for each identity.
    pub(super) fn see_other_identity(&mut self, step: &mut Step<'_>, contact: AccountId, list: &DeviceList) {
        let Some(entry) = self.contacts.get(&contact) else { return };
        let pending = entry.pending.as_ref().map(|pending| &pending.0).filter(|it| it.account() == list.account());
        let told = pending.is_some_and(|pending| pending.account_identity() == list.account_identity());
        let newer = pending.is_none_or(|pending| pending.version() < list.version());
        if newer && let Some(entry) = self.contacts.edit(&contact) {
            entry.pending = Some(Bin(list.clone()));
        }
        if !told {
            step.note(Notable::IdentityChanged { contact, account: list.account() });
            step.tell(Fact::IdentityChanged(contact));
        }
    }

    /// Notes that a person compared the safety number.
    pub(crate) fn mark_verified(&mut self, name: &Username) -> Begun {
        let Some(contact) = self.account_of(name).and_then(|account| self.contacts.edit(&account)) else {
            return InvalidCommand::UnknownContact.into();
        };
        if contact.pending.is_some() {
            return InvalidCommand::IdentityPending.into();
        }
        contact.verified = true;
        contact.stranger = None;
        Begun::Done(Outcome::Done)
    }

    /// Pins the identity that waited for it. Verification is not inherited.
    pub(crate) fn accept_identity(&mut self, step: &mut Step<'_>, name: &Username) -> Result<Begun, EngineError> {
        let Some(account) = self.account_of(name) else { return Ok(InvalidCommand::UnknownContact.into()) };
        let contact = self.contacts.edit(&account).ok_or(EngineError::Internal)?;
        let Some(Bin(list)) = contact.pending.take() else { return Ok(InvalidCommand::NothingToAccept.into()) };
        let next = list.account();
        contact.verified = false;
        contact.stranger = None;
        if next == account {
            contact.list = list;
        } else {
            // The name goes to another account; the old one stays, without a name.
            contact.name = None;
            if !self.contacts.contains(&next) {
                self.contacts.put(next, Contact::new(list));
            }
            if let Some(heir) = self.contacts.edit(&next) {
                heir.name = Some(Bin(name.clone()));
                heir.claimed = None;
                heir.verified = false;
                heir.stranger = None;
            }
            self.names.insert(name.clone(), next);
            step.tell(Fact::NameMoved { from: account, to: next });
        }
        step.tell(Fact::ListAdvanced(next));
        step.tell(Fact::NameSettled(next));
        Ok(Begun::Done(Outcome::Done))
    }
}
