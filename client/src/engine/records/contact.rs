//! A contact.

use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::engine::codec::{Bin, bin, parse, write};
use crate::engine::error::EngineError;
use crate::engine::store::Row;
use crate::vault::Table;

/// A contact: an account with the device list that is pinned for it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    /// The name, once a look-up led from it to this account and identity.
    pub(crate) name: Option<Bin<Username>>,
    /// The name that the account gave itself in a message, until it was looked up.
    pub(crate) claimed: Option<Bin<Username>>,
    /// The pinned list; its account identity key is the pinned one.
    #[serde(with = "bin")]
    pub(crate) list: DeviceList,
    pub(crate) verified: bool,
    /// A list under another identity, or of another account under the same name, that waits to be accepted.
    pub(crate) pending: Option<Bin<DeviceList>>,
    /// Since when it is known, if only it has written here and the user has never dealt with it.
    #[serde(default)]
    pub(crate) stranger: Option<u64>,
}

impl Contact {
    /// Returns a contact without a name.
    pub(crate) const fn new(list: DeviceList) -> Self {
        Self { name: None, claimed: None, list, verified: false, pending: None, stranger: None }
    }

    /// Returns what to call it.
    pub(crate) fn label(&self) -> String {
        match &self.name {
            Some(Bin(name)) => name.as_str().to_owned(),
            None => unknown_label(self.list.account()),
        }
    }

    /// Returns whether its identity is the accepted one, so that it may be written to.
    pub(crate) const fn is_accepted(&self) -> bool {
        self.pending.is_none()
    }

    /// Returns whether a device of it may be answered: its identity is accepted, and the pinned list has the device.
    pub(crate) fn accepts(&self, device: &DeviceAddress) -> bool {
        self.is_accepted() && self.list.contains(device)
    }

    /// Returns whether it goes by a name, or is settled to have none.
    pub(crate) const fn is_named(&self) -> bool {
        self.name.is_some() || self.claimed.is_none()
    }
}

/// Returns what to call an account without a name.
pub(crate) fn unknown_label(account: AccountId) -> String {
    format!("unknown:{account}")
}

impl Row for Contact {
    type Key = AccountId;
    const TABLE: Table = Table::Contact;
    const WHAT: &'static str = "a contact";

    fn key_bytes(key: &AccountId) -> Vec<u8> {
        key.as_bytes().to_vec()
    }

    fn parse_key(bytes: &[u8]) -> Option<AccountId> {
        Some(AccountId::from_bytes(<[u8; 16]>::try_from(bytes).ok()?))
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        write(self)
    }

    fn decode(_: &Self::Key, bytes: &[u8]) -> Result<Self, EngineError> {
        parse(bytes, Self::WHAT)
    }
}
