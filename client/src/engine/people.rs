//! What a part may know of the people: the own account and the pinned contacts. The engine lends it, read-only.

use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, RemoteDevice};
use sealpost_sabotage::{Countermeasure, holds, without};

use super::records::{Contact, Me, unknown_label};
use super::store::Rows;

/// The own account and the contacts.
#[derive(Clone, Copy)]
pub(crate) struct People<'a> {
    me: Option<&'a Me>,
    contacts: &'a Rows<Contact>,
}

impl<'a> People<'a> {
    /// Returns a view of both.
    pub(crate) const fn new(me: Option<&'a Me>, contacts: &'a Rows<Contact>) -> Self {
        Self { me, contacts }
    }

    /// Returns who this profile is.
    pub(crate) const fn me(&self) -> Option<&'a Me> {
        self.me
    }

    /// Returns who this profile is, if this is its account.
    pub(crate) fn own(&self, account: AccountId) -> Option<&'a Me> {
        self.me.filter(|me| me.address.account == account)
    }

    /// Returns a contact.
    pub(crate) fn contact(&self, account: AccountId) -> Option<&'a Contact> {
        self.contacts.get(&account)
    }

    /// Returns what to call an account.
    pub(crate) fn label(&self, account: AccountId) -> String {
        match self.own(account) {
            Some(me) => me.username.as_str().to_owned(),
            None => self.contact(account).map_or_else(|| unknown_label(account), Contact::label),
        }
    }

    /// Returns whether an account goes by a name here, or is settled to have none.
    pub(crate) fn is_named(&self, account: AccountId) -> bool {
        self.contact(account).is_none_or(Contact::is_named)
    }

    /// Returns whether a device is neither of the own account nor listed by a contact that the user chose.
    pub(crate) fn is_stranger(&self, address: &DeviceAddress) -> bool {
        let own = self.me.is_some_and(|me| me.list.contains(address));
        let chosen = self.contact(address.account).filter(|contact| contact.stranger.is_none());
        !own && chosen.is_none_or(|contact| !contact.list.contains(address))
    }

    /// Returns what the pinned list of its account says of a device.
    pub(crate) fn pinned_device(&self, address: DeviceAddress) -> Option<RemoteDevice> {
        let list = self.own(address.account).map(|me| &me.list).or_else(|| self.pinned_list(address.account))?;
        RemoteDevice::from_list(list, address.device).filter(|device| device.address == address)
    }

    fn pinned_list(&self, account: AccountId) -> Option<&'a DeviceList> {
        if without(Countermeasure::IdentityPin) {
            return planted_no_pin();
        }
        self.contact(account).map(|contact| &contact.list)
    }

    /// Returns whether a device may have the keys that a list in a message gives it. A registration never changes its
    /// keys, and nobody but this account speaks for it: otherwise the server could put keys of its own beside a pinned
    /// device.
    pub(crate) fn may_be(&self, remote: &RemoteDevice, from: DeviceAddress, pinned: Option<RemoteDevice>) -> bool {
        let own_identity = self.own(from.account).map(|me| me.list.account_identity());
        remote.address == from
            && pinned.is_none_or(|pinned| pinned == *remote)
            && holds(Countermeasure::IdentityPin, own_identity.is_none_or(|own| own == remote.account_identity))
    }
}

const fn planted_no_pin<'a>() -> Option<&'a DeviceList> {
    None
}
