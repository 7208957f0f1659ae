//! Notices as stored.

use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageId;
use sealpost_crypto::{AccountId, DeviceAddress};
use serde::{Deserialize, Serialize};

use crate::engine::codec::Bin;
use crate::engine::fact::Notable;
use crate::engine::model::{Limit, PeerDevice};
use crate::engine::people::People;

/// What reached its limit, as stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredLimit {
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

/// A device as a person names it, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredDevice {
    pub(crate) label: String,
    pub(crate) address: Bin<DeviceAddress>,
}

impl From<StoredDevice> for PeerDevice {
    fn from(stored: StoredDevice) -> Self {
        Self { label: stored.label, account: stored.address.0.account, device: stored.address.0.device }
    }
}

/// Why something was not kept, as stored.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum StoredReason {
    Expired,
    DeviceRemoved,
    AccountDeleted,
    QueueFull,
    Dormant,
}

impl From<ExpiryReason> for StoredReason {
    fn from(reason: ExpiryReason) -> Self {
        match reason {
            ExpiryReason::Expired => Self::Expired,
            ExpiryReason::DeviceRemoved => Self::DeviceRemoved,
            ExpiryReason::AccountDeleted => Self::AccountDeleted,
        }
    }
}

impl From<MissedReason> for StoredReason {
    fn from(reason: MissedReason) -> Self {
        match reason {
            MissedReason::QueueFull => Self::QueueFull,
            MissedReason::Dormant => Self::Dormant,
            MissedReason::Expired => Self::Expired,
        }
    }
}

/// A notice as stored, beside its time.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum StoredNotice {
    Message { history: u64 },
    Gap { from: StoredDevice, first: u64, last: u64 },
    Altered { from: StoredDevice, counter: u64 },
    GapClosed { from: StoredDevice, counter: u64 },
    Undecryptable { from: StoredDevice, number: u64, reason: String, asked_again: bool },
    NumberReused { from: StoredDevice, number: u64 },
    IdentityChanged { label: String, account: Bin<AccountId> },
    ListForked { label: String, version: u64 },
    SessionRepaired { from: StoredDevice },
    Expired { to: StoredDevice, messages: Vec<Bin<MessageId>>, count: u64, reason: StoredReason },
    Missed { from: StoredDevice, count: u64, reason: StoredReason },
    Limited { about: StoredLimit, count: u64 },
    RolledBack,
    Restored { resent: u64, lost: Vec<u64> },
}

impl StoredDevice {
    fn labelled(people: People<'_>, address: DeviceAddress) -> Self {
        Self { label: people.label(address.account), address: Bin(address) }
    }
}

impl StoredNotice {
    /// Returns the notice that counters of a device are missing.
    pub(crate) fn gap(people: People<'_>, from: DeviceAddress, first: u64, last: u64) -> Self {
        Self::Gap { from: StoredDevice::labelled(people, from), first, last }
    }

    /// Returns the notice of what a part has told, with labels for the devices and accounts.
    pub(crate) fn labelled(people: People<'_>, notable: Notable) -> Self {
        let device = |address| StoredDevice::labelled(people, address);
        match notable {
            Notable::Altered { from, counter } => Self::Altered { from: device(from), counter },
            Notable::GapClosed { from, counter } => Self::GapClosed { from: device(from), counter },
            Notable::Undecryptable { from, number, reason, asked_again } => {
                Self::Undecryptable { from: device(from), number, reason: reason.as_str().to_owned(), asked_again }
            }
            Notable::NumberReused { from, number } => Self::NumberReused { from: device(from), number },
            Notable::IdentityChanged { contact, account } => {
                Self::IdentityChanged { label: people.label(contact), account: Bin(account) }
            }
            Notable::ListForked { account, version } => Self::ListForked { label: people.label(account), version },
            Notable::SessionRepaired { from } => Self::SessionRepaired { from: device(from) },
            Notable::Expired { expired, messages } => Self::Expired {
                to: device(expired.to),
                messages: messages.into_iter().map(Bin).collect(),
                count: u64::try_from(expired.numbers.len()).unwrap_or(u64::MAX),
                reason: expired.reason.into(),
            },
            Notable::Missed(missed) => {
                Self::Missed { from: device(missed.from), count: missed.count, reason: missed.reason.into() }
            }
            Notable::RolledBack => Self::RolledBack,
            Notable::Restored { resent, lost } => Self::Restored { resent, lost },
        }
    }
}
