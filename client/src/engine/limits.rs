//! What a server can make this device remember of accounts that its user has nothing to do with: bounded, the oldest
//! strangers dropped first, and every drop counted in a notice. Nothing of a contact that the user chose is dropped.

use sealpost_crypto::{AccountId, DeviceAddress};
use serde::{Deserialize, Serialize};

use super::model::Limit;
use super::notices::StoredNotice;
use super::state::{self, Told};
use super::{Context, Engine, EngineError, Lane};
use crate::vault::{Log, Table};

/// Devices of strangers that are remembered: more than write to anyone for the first time between two looks at the
/// screen. A sender address costs the server nothing to invent, and each costs this device up to 300 KiB.
const STRANGER_DEVICES_MAX: usize = 256;
/// Strangers that are kept as contacts, each with its device list.
const STRANGER_CONTACTS_MAX: usize = 256;
/// Notices about strangers that nobody has seen: several screens full. Messages are not among them.
const STRANGER_NOTICES_MAX: usize = 256;
/// Notices about one contact, or the own device, that nobody has seen and that a server can cause at will. Further ones
/// are only counted.
const CONTACT_NOTICES_MAX: u64 = 64;
/// Names that notices are counted for. Beyond it they count as notices about strangers.
const COUNTED_NAMES_MAX: usize = 1_024;

/// What reached its limit, as stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StoredLimit {
    StrangerDevices,
    StrangerContacts,
    StrangerNotices,
    Notices { label: String },
}

impl From<StoredLimit> for Limit {
    fn from(stored: StoredLimit) -> Self {
        match stored {
            StoredLimit::StrangerDevices => Self::StrangerDevices,
            StoredLimit::StrangerContacts => Self::StrangerContacts,
            StoredLimit::StrangerNotices => Self::StrangerNotices,
            StoredLimit::Notices { label } => Self::Notices { label },
        }
    }
}

/// Whose limit a notice falls under.
pub(super) enum Subject {
    /// A server can't make it up.
    Unlimited,
    Stranger,
    Name(String),
}

impl Engine {
    /// Whether a device is none of the own account's, nor one that a contact which the user chose has listed.
    pub(super) fn is_stranger(&self, address: &DeviceAddress) -> bool {
        let own = self.me.as_ref().is_some_and(|me| me.list.contains(address));
        let chosen = self.contacts.get(&address.account).filter(|contact| contact.stranger.is_none());
        !own && chosen.is_none_or(|contact| !contact.list.contains(address))
    }

    /// The user deals with this account: it is no stranger any more.
    pub(super) fn befriend(&mut self, context: &mut Context<'_>, account: AccountId) -> Result<(), EngineError> {
        match self.contacts.get_mut(&account).and_then(|contact| contact.stranger.take()) {
            Some(_) => self.save_contact(context, account),
            None => Ok(()),
        }
    }

    /// Begins to remember a device that was never heard of. Strangers that never said anything readable go first, then
    /// the oldest.
    pub(super) fn meet(&mut self, context: &mut Context<'_>, newcomer: DeviceAddress) -> Result<(), EngineError> {
        if self.peers.contains_key(&newcomer) {
            return Ok(());
        }
        if self.is_stranger(&newcomer) {
            let known = self.peers.iter().filter(|(address, _)| self.is_stranger(address));
            let mut known: Vec<_> = known.map(|(address, peer)| (peer.heard, peer.since, *address)).collect();
            known.sort_unstable();
            let surplus = (known.len() + 1).saturating_sub(STRANGER_DEVICES_MAX);
            for (_, _, address) in known.into_iter().take(surplus) {
                self.forget_device(context, address)?;
                self.count_limited(context, StoredLimit::StrangerDevices)?;
            }
        }
        let now = context.now.0;
        self.peer(newcomer).since = now;
        Ok(())
    }

    /// Makes room for one more stranger among the contacts.
    pub(super) fn make_room_for_contact(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let strangers = self.contacts.iter().filter_map(|(account, contact)| Some((contact.stranger?, *account)));
        let mut strangers: Vec<(u64, AccountId)> = strangers.collect();
        strangers.sort_unstable();
        let surplus = (strangers.len() + 1).saturating_sub(STRANGER_CONTACTS_MAX);
        for (_, account) in strangers.into_iter().take(surplus) {
            let devices: Vec<_> = self.peers.keys().filter(|address| address.account == account).copied().collect();
            for address in devices {
                self.forget_device(context, address)?;
            }
            self.contacts.remove(&account);
            self.names.retain(|_, named| *named != account);
            self.wanted_lists.remove(&account);
            for position in self.lanes.get(&Lane::Account(account)).cloned().unwrap_or_default() {
                self.remove_item(context, position)?;
            }
            context.erase(Table::Contact, account.as_bytes())?;
            self.count_limited(context, StoredLimit::StrangerContacts)?;
        }
        Ok(())
    }

    /// Forgets everything about a device but what was shown of it. What still waited is shown first.
    fn forget_device(&mut self, context: &mut Context<'_>, address: DeviceAddress) -> Result<(), EngineError> {
        let waiting: Vec<_> = self.held.get(&address).map(|held| held.keys().copied().collect()).unwrap_or_default();
        for key in waiting {
            if let Some(held) = self.take_held(context, address, key)? {
                self.show(context, held)?;
            }
        }
        let asked: Vec<u64> = self.items.iter().filter(|(_, it)| it.goes_to(&address)).map(|(at, _)| *at).collect();
        for position in asked {
            self.remove_item(context, position)?;
        }
        if let Some(peer) = self.peers.remove(&address) {
            super::inbox::forget_seen(context, &address, peer.seen)?;
        }
        self.sessions.remove(&address);
        self.fresh_sessions.remove(&address);
        self.unreachable_devices.remove(&address);
        context.erase(Table::Session, &address.to_bytes())?;
        context.erase(Table::Peer, &address.to_bytes())?;
        Ok(())
    }

    /// Under whose limit a notice falls. What only an authentic message can cause has none.
    pub(super) fn subject(&self, body: &StoredNotice) -> Subject {
        let own = || Subject::Name(self.me.as_ref().map(|me| me.username.as_str().to_owned()).unwrap_or_default());
        match body {
            StoredNotice::Message { .. } | StoredNotice::Limited { .. } => Subject::Unlimited,
            StoredNotice::Undecryptable { from, .. }
            | StoredNotice::NumberReused { from, .. }
            | StoredNotice::Missed { from, .. }
            | StoredNotice::Expired { to: from, .. } => {
                if self.is_stranger(&from.address.0) {
                    Subject::Stranger
                } else {
                    Subject::Name(from.label.clone())
                }
            }
            StoredNotice::Gap { from, .. }
            | StoredNotice::Altered { from, .. }
            | StoredNotice::GapClosed { from, .. }
            | StoredNotice::SessionRepaired { from } => {
                if self.is_stranger(&from.address.0) {
                    Subject::Stranger
                } else {
                    Subject::Unlimited
                }
            }
            StoredNotice::IdentityChanged { label, .. } | StoredNotice::ListForked { label, .. } => {
                Subject::Name(label.clone())
            }
            StoredNotice::RolledBack | StoredNotice::Restored { .. } => own(),
        }
    }

    /// Counts a notice about a name; whether it is one too many.
    pub(super) fn is_one_too_many(&mut self, label: &str) -> bool {
        if let Some(told) = self.marks.told.iter_mut().find(|told| told.label == label) {
            told.count = told.count.saturating_add(1);
            return told.count > CONTACT_NOTICES_MAX;
        }
        self.marks.told.push(Told { label: label.to_owned(), count: 1 });
        false
    }

    pub(super) fn counts_names(&self, label: &str) -> bool {
        self.marks.told.len() < COUNTED_NAMES_MAX || self.marks.told.iter().any(|told| told.label == label)
    }

    /// Remembers where a notice about a stranger lies, and takes back the oldest beyond the limit.
    pub(super) fn limit_stranger_notices(
        &mut self,
        context: &mut Context<'_>,
        position: u64,
    ) -> Result<(), EngineError> {
        self.marks.stranger_notices.push_back(position);
        while self.marks.stranger_notices.len() > STRANGER_NOTICES_MAX {
            let Some(oldest) = self.marks.stranger_notices.pop_front() else { break };
            if context.vault.remove(Log::Notice, oldest)? {
                self.count_limited(context, StoredLimit::StrangerNotices)?;
            }
        }
        context.save(Table::Meta, state::MARKS, &self.marks)
    }
}
