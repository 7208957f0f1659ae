//! A message in the outbox.

use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::engine::codec::{Bin, bin};
use crate::engine::content::Draft;
use crate::engine::store::Entry;
use crate::vault::Log;

/// The outbox's ordering domain: messages in one lane are sent strictly in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// A name that has not been looked up yet.
    Name(Username),
    Account(AccountId),
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A name that has not been looked up yet.
    Name(Username),
    /// All devices of the account that a name leads to.
    Named(Username, AccountId),
    /// All devices of an account, for a message that was given up and only keeps its count.
    Account(AccountId),
    /// One device.
    Device(DeviceAddress),
}

impl Recipient {
    /// Returns the lane that the message waits in.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Name(name) => Lane::Name(name.clone()),
            Self::Named(_, account) | Self::Account(account) => Lane::Account(*account),
            Self::Device(address) => Lane::Account(address.account),
        }
    }

    /// Returns the name that it was written to.
    pub(crate) const fn name(&self) -> Option<&Username> {
        match self {
            Self::Name(name) | Self::Named(name, _) => Some(name),
            Self::Account(_) | Self::Device(_) => None,
        }
    }

    /// Returns the account, once it is known.
    pub(crate) const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Name(_) => None,
            Self::Named(_, account) | Self::Account(account) => Some(*account),
            Self::Device(address) => Some(address.account),
        }
    }

    /// Returns the one device that it goes to.
    pub(crate) const fn device(&self) -> Option<DeviceAddress> {
        match self {
            Self::Device(address) => Some(*address),
            _ => None,
        }
    }
}

/// One device's place of a message in its sequence: fixed at the first encryption.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assigned {
    #[serde(with = "bin")]
    pub(crate) address: DeviceAddress,
    #[serde(rename = "stream")]
    pub(crate) sequence: u64,
    pub(crate) counter: u64,
    #[serde(with = "bin")]
    pub(crate) previous: [u8; 32],
}

/// A message in the outbox.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredItem", into = "StoredItem")]
pub(crate) struct Item {
    pub(crate) recipient: Recipient,
    pub(crate) draft: Draft,
    pub(crate) message_id: MessageId,
    pub(crate) sent_at: UnixMillis,
    /// Counters, fixed at the first encryption.
    pub(crate) assigned: Vec<Assigned>,
    /// The number of the sending that is not answered.
    pub(crate) number: Option<u64>,
    /// Whether a sending of it may have been accepted without this device knowing.
    pub(crate) unknown: bool,
    /// Not to be encrypted before.
    pub(crate) wait_until: UnixMillis,
    /// Refusals that were answered by encrypting it anew.
    pub(crate) attempts: u32,
}

impl Item {
    /// Returns a message that was never encrypted.
    pub(crate) const fn new(recipient: Recipient, draft: Draft, message_id: MessageId, sent_at: UnixMillis) -> Self {
        Self {
            recipient,
            draft,
            message_id,
            sent_at,
            assigned: Vec::new(),
            number: None,
            unknown: false,
            wait_until: UnixMillis(0),
            attempts: 0,
        }
    }

    /// Returns whether it was given up and only keeps its count.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self.draft, Draft::Empty)
    }

    /// Returns whether it may be given up without a trace: nobody can have received it.
    pub(crate) const fn is_unsent(&self) -> bool {
        self.number.is_none() && !self.unknown
    }
}

impl Entry for Item {
    const LOG: Log = Log::Outbox;
    const WHAT: &'static str = "an outbox message";
}

/// A message in the outbox, as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredItem {
    /// The recipient by name; absent for what goes to one device.
    name: Option<Bin<Username>>,
    /// The recipient's account, once it is known.
    account: Option<Bin<AccountId>>,
    /// The one device it goes to.
    device: Option<Bin<DeviceAddress>>,
    body: Draft,
    #[serde(with = "bin")]
    message_id: MessageId,
    sent_at: u64,
    assigned: Vec<Assigned>,
    number: Option<u64>,
    unknown: bool,
    wait_until: u64,
    attempts: u32,
}

impl From<Item> for StoredItem {
    fn from(item: Item) -> Self {
        Self {
            name: item.recipient.name().cloned().map(Bin),
            account: item.recipient.account().map(Bin),
            device: item.recipient.device().map(Bin),
            body: item.draft,
            message_id: item.message_id,
            sent_at: item.sent_at.0,
            assigned: item.assigned,
            number: item.number,
            unknown: item.unknown,
            wait_until: item.wait_until.0,
            attempts: item.attempts,
        }
    }
}

impl TryFrom<StoredItem> for Item {
    type Error = &'static str;

    fn try_from(stored: StoredItem) -> Result<Self, Self::Error> {
        let recipient = match (stored.name, stored.account, stored.device) {
            (_, _, Some(Bin(address))) => Recipient::Device(address),
            (Some(Bin(name)), Some(Bin(account)), None) => Recipient::Named(name, account),
            (Some(Bin(name)), None, None) => Recipient::Name(name),
            (None, Some(Bin(account)), None) => Recipient::Account(account),
            (None, None, None) => return Err("a message without a recipient"),
        };
        Ok(Self {
            recipient,
            draft: stored.body,
            message_id: stored.message_id,
            sent_at: UnixMillis(stored.sent_at),
            assigned: stored.assigned,
            number: stored.number,
            unknown: stored.unknown,
            wait_until: UnixMillis(stored.wait_until),
            attempts: stored.attempts,
        })
    }
}
