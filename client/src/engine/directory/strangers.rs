//! Strangers: accounts that only wrote here. Bounded, the oldest dropped first; nothing of a contact that the user chose
//! is dropped.

use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceList};

use super::book::Directory;
use super::lists::ListOutcome;
use crate::engine::codec::Bin;
use crate::engine::fact::Fact;
use crate::engine::records::Contact;
use crate::engine::step::Step;

/// Strangers that are kept as contacts, each with its device list.
const STRANGER_CONTACTS_MAX: usize = 256;

impl Directory {
    /// Takes note of the list in a message. An account that was never seen is pinned, under the name that it gives itself.
    pub(crate) fn meet(&mut self, step: &mut Step<'_>, list: DeviceList, claimed: Option<Username>) {
        let account = list.account();
        if self.see_list(step, &list) == ListOutcome::Unknown {
            self.pin(step, list);
            if let Some(contact) = self.contacts.edit(&account) {
                contact.claimed = claimed.map(Bin);
            }
        }
    }

    /// Pins an account that was never seen, from the list that it signed. It is a stranger until the user deals with it.
    pub(super) fn pin(&mut self, step: &mut Step<'_>, list: DeviceList) {
        let account = list.account();
        if self.contacts.contains(&account) {
            return;
        }
        self.make_room(step);
        self.contacts.put(account, Contact { stranger: Some(step.now.0), ..Contact::new(list) });
    }

    /// Has the oldest strangers dropped that one more leaves no room for.
    fn make_room(&self, step: &mut Step<'_>) {
        let strangers = self.contacts.iter().filter_map(|(account, contact)| Some((contact.stranger?, *account)));
        let mut strangers: Vec<(u64, AccountId)> = strangers.collect();
        strangers.sort_unstable();
        let surplus = (strangers.len() + 1).saturating_sub(STRANGER_CONTACTS_MAX);
        if surplus > 0 {
            let dropped = strangers.into_iter().take(surplus).map(|(_, account)| account);
            step.tell(Fact::StrangersDropped(dropped.collect()));
        }
    }

    /// Forgets an account.
    pub(crate) fn forget(&mut self, account: AccountId) {
        self.contacts.remove(&account);
        self.names.retain(|_, named| *named != account);
        self.wanted_lists.remove(&account);
    }

    /// Gives up looking for the name of an account, which is shown under its id from now on.
    pub(crate) fn give_up_name(&mut self, step: &mut Step<'_>, account: AccountId) {
        if let Some(contact) = self.contacts.edit(&account) {
            contact.claimed = None;
        }
        step.tell(Fact::NameSettled(account));
    }
}
